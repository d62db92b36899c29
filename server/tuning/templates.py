"""The paper's three templates, to the byte, and the one by which facts are learned.

They are in sections 4.2, "Knowledge Retrieval" and "Knowledge-enhanced Reasoning". A prompt ends
without a space; the continuation that is scored or generated after it starts with one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

ROOT = "To answer the query: {query}, I need information"
ROOT_IN_ONE_WORD = 'To answer the query: "{query}", I need information, in one word: "'
RETRIEVAL = ROOT + " {subject}"
REASONING = (
    "Answer the query considering the user's personalized facts."
    " <question>: {query} <facts>: {facts} <answer>:"
)
EXTRACTION = (
    "Based on the provided query and answer, identify {k} types of relationships between the"
    " subject <subject> and the object <object>, considering the context of the query and answer."
    " <query>: {query} <answer>: {answer} <subject>: {subject} <object>: {object} <relation>:"
)
LEARNING = (
    "Write down what the user's message says about the user, and what it takes back, as facts"
    " <sign> subject | relation | object. <context>: {context} <message>: {message} <facts>:"
)
NO_FACTS = "none"
"""What is written for a message without facts, and for an empty context."""
SEPARATOR = "<sep>"
FACT_SEPARATOR = "; "
TEMPLATE_MARKS = (FACT_SEPARATOR, " <", "<question", "<facts", "<answer")
"""What a model writes that does not answer but goes on with the template."""

FINGERPRINT = hashlib.sha256(
    "\n".join((RETRIEVAL, REASONING, EXTRACTION, SEPARATOR, FACT_SEPARATOR)).encode()
).hexdigest()[:16]


def root_prompt(query: str) -> str:
    """The root of T_retrieve(q): the next words are the subject that `query` is about.

    The state of its last token is the query's key (server.tuning.recall).
    """
    return ROOT.format(query=query)


def one_word_prompt(query: str) -> str:
    """The root for models that were not trained for keys.

    Asked for one word, such a model gathers in its last state what a text is about (PromptEOL:
    Jiang et al. 2023, "Scaling Sentence Embeddings with Large Language Models").
    """
    return ROOT_IN_ONE_WORD.format(query=query)


def retrieval_prompt(query: str, subject: str) -> str:
    """T_retrieve(q): the next words are the relation that is needed to answer `query` (Eq. 5)."""
    return RETRIEVAL.format(query=query, subject=subject)


def reasoning_prompt(query: str, facts: Sequence[str]) -> str:
    """T_reasoning(q, z): the next words are the answer, given verbalised facts (Eq. 6).

    There must be at least one fact.
    """
    return REASONING.format(query=query, facts=FACT_SEPARATOR.join(facts))


def extraction_prompt(query: str, answer: str, subject: str, object: str, k: int) -> str:
    """The extraction template: the next words are K relations from subject to object.

    They have the form `r_1 <sep> r_2 <sep> ... <sep> r_K`.
    """
    return EXTRACTION.format(query=query, answer=answer, subject=subject, object=object, k=k)


def learning_prompt(message: str, context: str = "") -> str:
    """The next words are the facts of a message: `+ I | works as | nurse <sep> - I | likes | jazz`.

    A minus takes a fact back; `none` stands for no fact. `context` is what was said before.
    """
    return LEARNING.format(message=message, context=context or NO_FACTS)
