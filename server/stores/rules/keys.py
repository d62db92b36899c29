"""Stored concepts, triples and logs under the keys of today (server.graph.rekeying says why)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from server.graph.concept import Concept
from server.graph.edit import Edit
from server.graph.rekeying import Rekeying
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, canonical


def concept_today(stored: Concept) -> Concept:
    """A stored concept with today's key. One that would have an empty key stays as it is."""
    concept = Concept.of(stored.text)
    return concept if concept.key else stored


def triple_today(stored: Triple, vocabulary: Vocabulary) -> Triple:
    """A stored triple with today's keys, in its canonical form."""
    head, tail = concept_today(stored.head), concept_today(stored.tail)
    return canonical(Triple(head, stored.relation, tail), vocabulary)


def edit_today(stored: Edit, vocabulary: Vocabulary) -> Edit:
    """A stored edit with today's keys, change by change."""
    changes = (
        replace(change, triple=triple_today(change.triple, vocabulary)) for change in stored.changes
    )
    relied_on = (triple_today(triple, vocabulary) for triple in stored.relied_on)
    return replace(stored, changes=tuple(changes), relied_on=tuple(relied_on))


def log_today(written: Iterable[Edit], vocabulary: Vocabulary) -> Iterator[Edit]:
    """A log with today's keys, oldest edit first. `written` was read with `legacy_concept`."""
    rekeying = Rekeying()
    for edit in written:
        yield rekeying.rekeyed(edit, edit_today(edit, vocabulary))
