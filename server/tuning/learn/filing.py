"""From the lines that the model wrote to triples, as far as they say what the message says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from server.errors import InvalidRequest
from server.graph.checks import checked_concept, is_relation_name
from server.graph.concept import Concept, concept_key, strip_determiners, words_in
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.learn.clauses import DENIES, in_full, read_clause, third_person
from server.tuning.learn.lines import Line, Lines
from server.tuning.learn.passages import Passage, speaks_of_user
from server.tuning.learn.relations import learned_relation
from server.tuning.learn.single import SingleValued
from server.tuning.subject.choice import USER_CONCEPT
from server.tuning.subject.english import FUNCTION_WORDS, THIRD_PERSON, USERS_OWN
from server.tuning.texts import object_text

_THE_USER = frozenset({"i", "me", "myself", "we", "us", "user", "the user"})
_STEM = 4
"""Two words that begin with the same so many letters may be forms of one: "works", "worked"."""


class Doubt(Enum):
    """Why a line of the model's is not taken for what the user said."""

    FORM = "form"
    """It is not of the form `+ subject | relation | object`."""
    NAME = "name"
    """A part of it cannot be a concept or a relation."""
    PRONOUN = "pronoun"
    """Its subject is a word like "he", and what was said before does not say who that is."""
    IMPERSONAL = "impersonal"
    """Its subject is neither the user, nor what is theirs, nor somebody's name."""
    DENIED = "denied"
    """The message says that it is not so."""
    INVENTED = "invented"
    """It has a name or a value that was not said."""
    CONTRADICTORY = "contradictory"
    """The same is learned and taken back."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A line as a triple of the user's overlay, and where it comes from."""

    triple: Triple
    learned: bool
    """False for what is taken back."""
    owned: bool
    """Whether the head is the user's own: "my dog"."""
    source: str
    """The part of the message that says it."""
    taught_by: str
    """The text by whose key the fact is found: that part, or the question that it answers. Empty
    where neither says what it is about."""


@dataclass(frozen=True, slots=True)
class Unfiled:
    """A line that is not taken for what the user said, and the part of the message behind it."""

    line: str
    doubt: Doubt
    source: str


def unfiled(fact: Filed, doubt: Doubt) -> Unfiled:
    """A fact that is not taken after all."""
    triple = fact.triple
    line = Line(fact.learned, triple.head.text, triple.relation, triple.tail.text)
    return Unfiled(_written(line), doubt, fact.source)


def filed(
    passage: Passage, lines: Lines, vocabulary: Vocabulary, single: SingleValued
) -> tuple[list[Filed], list[Unfiled]]:
    """The lines of a passage that can be filed, and the others.

    A line says that there is a fact. Where its words are not those of the message, or where it
    cannot be read, what the clause itself says is taken instead, if that is plain.
    """
    facts: dict[tuple[Triple, bool], Filed] = {}
    doubtful: list[Unfiled] = []
    twins = _twins(lines.read)
    written: tuple[Line | str, ...] = (*lines.read, *lines.unread)
    for line in written:
        clause = passage.clause_of(*_names(line))
        found: Filed | Doubt
        if isinstance(line, str):
            claims = _claims(line, clause)
            plain = _plain(passage, clause, vocabulary, single) if claims else None
            found = plain or Doubt.FORM
        elif _content(line) in twins:
            found = Doubt.CONTRADICTORY
        elif line.learned and _is_denied(line, clause):
            found = Doubt.DENIED
        else:
            siblings = [z.object for z in lines.read if _slot(z) == _slot(line)]
            found = _understood(passage, line, clause, vocabulary, single, siblings)
        if isinstance(found, Doubt):
            doubtful.append(Unfiled(_written(line), found, clause))
        else:
            facts.setdefault((found.triple, found.learned), found)
    return list(facts.values()), doubtful


def _understood(
    passage: Passage,
    line: Line,
    clause: str,
    vocabulary: Vocabulary,
    single: SingleValued,
    siblings: Collection[str],
) -> Filed | Doubt:
    found = _filed(passage, line, vocabulary)
    is_doubted = found is Doubt.INVENTED or not _is_in_words(line, clause, single, siblings)
    plain = _plain(passage, clause, vocabulary, single) if line.learned and is_doubted else None
    return plain or found


def _plain(
    passage: Passage, clause: str, vocabulary: Vocabulary, single: SingleValued
) -> Filed | None:
    """What a plain clause says."""
    line = read_clause(clause)
    if line is None:
        return None
    usual = third_person(line.relation)
    if vocabulary.relation_said(usual) in vocabulary or single.is_usual(usual):
        line = replace(line, relation=usual)
    found = _filed(passage, line, vocabulary)
    return found if isinstance(found, Filed) else None


def _is_in_words(
    line: Line, clause: str, single: SingleValued, siblings: Collection[str] = ()
) -> bool:
    """Whether a line says what the clause says, in its words and without leaving any out.

    A usual relation may be put in any words. Small words do not count, and neither do `siblings`:
    the values that other lines have of the same relation ("I speak Dutch and Czech").
    """
    value, said = _stems(line.object), _stems(clause)
    if set(value) <= set(_stems(line.subject)):
        return False
    of_others = {stem for sibling in siblings for stem in _stems(sibling)} - set(value)
    said = [stem for stem in said if stem not in of_others]
    words = value if single.has_one(line.relation) else [*_stems(line.relation), *value]
    places = range(len(said) - len(words) + 1)
    return any(said[at : at + len(words)] == words for at in places)


def _is_denied(line: Line, clause: str) -> bool:
    """Whether a "not" or the like stands before the value, and not in the line itself."""
    said = concept_key(clause)
    before, found, _ = said.partition(concept_key(line.object))
    part = re.split("[,;]", before if found else said)[-1]
    return bool(DENIES.search(part)) and not DENIES.search(concept_key(_written(line)))


def _stems(text: str) -> list[str]:
    """The beginnings of the words that are not small ones."""
    words = (word for word in words_in(text) if not _is_small(word))
    return [word[:_STEM] for word in words]


def _is_small(word: str) -> bool:
    return word in FUNCTION_WORDS or word.removesuffix("s") in FUNCTION_WORDS


def _filed(passage: Passage, line: Line, vocabulary: Vocabulary) -> Filed | Doubt:
    head, owned = _head(line.subject)
    if head is None:
        return Doubt.PRONOUN
    relation = learned_relation(line.relation, vocabulary)
    if not is_relation_name(relation) or not any(c.isalpha() for c in relation):
        return Doubt.NAME
    try:
        subject = checked_concept(in_full(head, passage.text), "subject")
        tail = checked_concept(in_full(object_text(line.object), passage.text), "object")
    except InvalidRequest:
        return Doubt.NAME
    if not owned and subject != USER_CONCEPT and subject.text.islower():
        return Doubt.IMPERSONAL
    if not _is_said(passage, subject, tail):
        return Doubt.INVENTED
    source = passage.clause_of(line.subject, line.object)
    triple = Triple(subject, relation, tail)
    return Filed(triple, line.learned, owned, source, _taught_by(passage, source, subject))


def _head(subject: str) -> tuple[str | None, bool]:
    """(The head's text, whether it is the user's own); no text for a pronoun of others."""
    key = concept_key(subject)
    if key in _THE_USER:
        return USER_CONCEPT.text, False
    if not key or key in THIRD_PERSON:
        return None, False
    bare = strip_determiners(subject)
    return bare, bare != subject.strip() and words_in(subject)[0] in USERS_OWN


def _is_said(passage: Passage, head: Concept, tail: Concept) -> bool:
    """Whether the message, or what was said before, has the words of both ends.

    What a model makes of a message may leave words out, and may have another form of them.
    """
    said = passage.said
    of_user = head == USER_CONCEPT or _most_are_said(head.text, said, least=0.5)
    return of_user and _most_are_said(tail.text, said, least=0.75)


def _most_are_said(text: str, said: Collection[str], least: float) -> bool:
    words = _stems(text) or [word[:_STEM] for word in words_in(text)]
    stems = {word[:_STEM] for word in said}
    return sum(word[:_STEM] in stems for word in words) >= least * len(words)


def _taught_by(passage: Passage, source: str, head: Concept) -> str:
    if head == USER_CONCEPT and speaks_of_user(source):
        return source
    if head != USER_CONCEPT and set(words_in(head.text)) & set(words_in(source)):
        return source
    return passage.question


def _twins(lines: Iterable[Line]) -> set[tuple[str, ...]]:
    """What is both learned and taken back."""
    learned = {_content(line) for line in lines if line.learned}
    return learned & {_content(line) for line in lines if not line.learned}


def _slot(line: Line) -> tuple[str, ...]:
    return _content(line)[:2]


def _content(line: Line) -> tuple[str, ...]:
    return tuple(map(concept_key, (line.subject, line.relation, line.object)))


def _names(line: Line | str) -> tuple[str, ...]:
    return (line,) if isinstance(line, str) else (line.subject, line.object)


def _claims(text: str, clause: str) -> bool:
    """Whether what could not be read stands for a fact.

    It begins like one that is learned, or it was written for what the user says of themselves by a
    model that does not know the form.
    """
    return text.startswith("+") or (not text.startswith("-") and speaks_of_user(clause))


def _written(line: Line | str) -> str:
    if isinstance(line, str):
        return line
    sign = "+" if line.learned else "-"
    return f"{sign} {line.subject} | {line.relation} | {line.object}"
