"""The templates' prompts as patterns, and the learning template's lines read strictly."""

from __future__ import annotations

import re

from server.tuning.templates import LEARNING, ROOT
from training.examples import ALIKE, Example

REASONING = re.compile(
    r"Answer the query considering the user's personalized facts\."
    r" <question>: (.+) <facts>: (.+) <answer>:"
)
RETRIEVAL = re.compile(r"To answer the query: (.+), I need information (\S.*\S|\S)")
EXTRACTION = re.compile(
    r"Based on the provided query and answer, identify (\d) types of relationships between the"
    r" subject <subject> and the object <object>, considering the context of the query and answer\."
    r" <query>: (.+) <answer>: (.+) <subject>: (.+) <object>: (.+) <relation>:"
)
SUBJECT = re.compile(re.escape(ROOT).replace(re.escape("{query}"), "(.+)"))
ALIKE_PAIR = re.compile(
    re.escape(ALIKE).replace(re.escape("{query}"), "(.+)").replace(re.escape("{taught}"), "(.+)")
)
LEARNED = re.compile(
    re.escape(LEARNING)
    .replace(re.escape("{context}"), "(.+)")
    .replace(re.escape("{message}"), "(.+)"),
    re.DOTALL,
)
FACT = re.compile(r"([+-]) ([^\s|<>][^|<>\n]*) \| ([^\s|<>][^|<>\n]*) \| ([^|<>\n]*[^\s|<>])")


def query_of(example: Example) -> str:
    """The query of a reasoning example."""
    found = REASONING.fullmatch(example.prompt)
    assert found
    return found[1]


def facts_of(example: Example) -> list[str]:
    """The facts of a reasoning example."""
    found = REASONING.fullmatch(example.prompt)
    assert found
    return found[2].split("; ")


def read_line(line: str) -> list[tuple[str, ...]]:
    """The (sign, subject, relation, object) of each fact that is learned.

    Raises ValueError where the line is not what the template asks for.
    """
    if line == "none":
        return []
    found = [FACT.fullmatch(part) for part in line.split(" <sep> ")]
    facts = [match.groups() for match in found if match]
    if len(facts) < len(found) or any(text != text.strip() for fact in facts for text in fact):
        raise ValueError(line)
    return facts
