"""Concepts as one user sees them: those of the base, and those of the triples the user added."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from server.graph.concept import Concept
from server.graph.triple import Mark, Origin, Triple
from server.tuning.ports import ConceptEntry


@dataclass(frozen=True, slots=True)
class BaseConcept:
    """What the base knows of a concept: its text, how many triples of retrievable relations start
    at it, and the keys of the concepts that it is a form of."""

    text: str
    retrievable_triples: int = 0
    forms_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonalConcepts:
    """The concepts of the triples that a user added, by key.

    `heads` holds each head's text and how many of the triples start there; `tails` the tails'
    texts.
    """

    heads: Mapping[str, tuple[str, int]]
    tails: Mapping[str, str]


def personal_concepts(marks: Mapping[Triple, Mark], keys: Collection[str]) -> PersonalConcepts:
    """Those of `keys` that are concepts of an added triple. The latest mark's text counts."""
    heads: dict[str, tuple[str, int]] = {}
    tails: dict[str, str] = {}
    for triple, mark in marks.items():
        if mark.origin is not Origin.ADDED:
            continue
        head, tail = triple.head, triple.tail
        if head.key in keys:
            _, count = heads.get(head.key, ("", 0))
            heads[head.key] = (head.text, count + 1)
        if tail.key in keys:
            tails[tail.key] = tail.text
    return PersonalConcepts(heads, tails)


def concept_entries(
    keys: Sequence[str], base: Mapping[str, BaseConcept], personal: PersonalConcepts
) -> dict[str, ConceptEntry]:
    """Those of `keys` that the base has or the user added, in the order asked.

    The base's text of a concept goes before the user's, and a head's before a tail's.
    """
    entries = {}
    for key in dict.fromkeys(keys):
        known = base.get(key)
        if known is None and key not in personal.heads and key not in personal.tails:
            continue
        own_text, own_count = personal.heads.get(key, (personal.tails.get(key, ""), 0))
        shown = known or BaseConcept("")
        entries[key] = ConceptEntry(
            Concept(key, shown.text or own_text),
            known is not None,
            shown.retrievable_triples,
            own_count,
            shown.forms_of,
        )
    return entries


def all_concepts(triples: Iterable[Triple]) -> set[Concept]:
    """The concepts at both ends of the triples."""
    return {concept for triple in triples for concept in (triple.head, triple.tail)}
