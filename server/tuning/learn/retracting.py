"""What a message takes back of what the user has said before."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from server.graph.concept import concept_key, words_in
from server.graph.relation import Vocabulary
from server.tuning.learn.filing import Filed
from server.tuning.learn.passages import Passage, clauses, speaks_of_user
from server.tuning.recall import Fact
from server.tuning.subject.choice import USER_CONCEPT
from server.tuning.templates import SEPARATOR
from server.tuning.texts import says

_TAKES_BACK = re.compile(
    r"\b(?:any ?more|any longer|no longer|gave up|given up|used to|sold|cancelled)\b"
    r"|\bi(?:'ve| have)? (?:just )?(?:stopped|quit)\b"
    r"|^(?:please |you can |just )*(?:forget|delete|remove|don't remember|scrap)\b"
)
_CORRECTS = re.compile(r"^(?:no|nope|wrong|not|actually|never|oops|sorry|that's wrong)\b")


def takes_back(text: str) -> bool:
    """Whether it says that something no longer holds, or asks to forget it."""
    return bool(_TAKES_BACK.search(concept_key(text)))


def beginning(passage: Passage, standing: Iterable[Fact], vocabulary: Vocabulary) -> str:
    """How the lines of a passage begin, as far as its words leave no doubt about that.

    "No, ..." after an answer that rests on a fact takes back this fact, and gives another value.
    """
    if _CORRECTS.match(concept_key(passage.text)):
        for fact in standing:
            if _is_answered_with(fact, passage):
                head, phrase = _said(fact), vocabulary.phrase(fact.triple.relation)
                gone = f" - {head} | {phrase} | {fact.triple.tail.text}"
                return f"{gone} {SEPARATOR} + {head} | {phrase} |"
    first = next(clauses(passage.text), passage.text)
    return " -" if takes_back(first) else ""


def taken_back(passage: Passage, standing: Collection[Fact]) -> list[Filed]:
    """The facts of the user that a clause names and takes back.

    Also those with what it says is not so: "My boss is Petra, not Paula".
    """
    gone = [
        (fact, clause)
        for clause in clauses(passage.text)
        if takes_back(clause)
        for fact in standing
        if _is_named(fact, clause)
    ]
    gone += [
        (fact, passage.text)
        for name in passage.not_so
        for fact in standing
        if _is_named(fact, passage.text) and _has(fact, name)
    ]
    return [
        Filed(fact.triple, learned=False, owned=fact.owned, source=source, taught_by="")
        for fact, source in gone
    ]


def _has(fact: Fact, name: str) -> bool:
    words = set(words_in(name))
    ends = fact.triple.head.text, fact.triple.tail.text
    return any(words <= set(words_in(end)) for end in ends)


def _is_named(fact: Fact, clause: str) -> bool:
    words = set(words_in(clause))
    if not set(words_in(fact.triple.tail.text)) <= words:
        return False
    if fact.triple.head == USER_CONCEPT:
        return speaks_of_user(clause)
    return set(words_in(fact.triple.head.text)) <= words


def _is_answered_with(fact: Fact, passage: Passage) -> bool:
    """Whether what was said before is a question about the fact's head and its tail."""
    question = passage.question
    if not question or not says(passage.answer, fact.triple.tail.text):
        return False
    if fact.triple.head == USER_CONCEPT:
        return speaks_of_user(question)
    return set(words_in(fact.triple.head.text)) <= set(words_in(question))


def _said(fact: Fact) -> str:
    head = fact.triple.head.text
    return f"my {head}" if fact.owned else head
