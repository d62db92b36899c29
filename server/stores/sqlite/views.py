"""What a user sees: concepts, neighborhoods and triples, of the base and of the user's overlay."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from server.graph.concept import Concept
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Mark, Triple, canonical
from server.stores.rules import cursors, pages
from server.stores.rules.concepts import BaseConcept, PersonalConcepts, concept_entries
from server.stores.rules.view import (
    assemble_neighborhood,
    newest_first,
    seen_from,
    viewed_marks,
)
from server.stores.sqlite import rows, sql
from server.stores.sqlite.base import BasePlace, BaseReader
from server.stores.sqlite.session import LATEST, Moment, Session
from server.tuning.ports import ConceptEntry, Listing, Page

_AMONG_MARKS = (int, int, str, str)
"""The shape of a place behind one of the user's marks at a concept: stamp, relation, other end."""
_IN_BASE = (int, int, int)
"""The shape of a BasePlace."""
_FIRST_IN_BASE = (0, 0, 0)
_BEFORE_ALL_MARKS = (*rows.NEWEST, "", "")

_Listed = list[tuple[ViewedTriple, cursors.Place]]
"""Triples of a page, each with the place behind it."""


def look_up(
    session: Session, user: str, keys: Sequence[str], at_revision: int | None
) -> dict[str, ConceptEntry]:
    base = session.base()
    found = base.concepts(keys)
    forms = base.forms_of([stored.id for stored in found.values()])
    known = {
        key: BaseConcept(stored.text, stored.retrievable_triples, forms.get(stored.id, ()))
        for key, stored in found.items()
    }
    wanted = json.dumps(list(keys))
    with session.reading():
        moment = session.moment(user, at_revision)
        at_heads = session.ask(sql.PERSONAL_AT_HEADS, moment, user, keys=wanted)
        at_tails = session.ask(sql.PERSONAL_AT_TAILS, moment, user, keys=wanted)
    heads = {key: (_own_text(text, known.get(key)), count) for key, text, count in at_heads}
    tails = {key: _own_text(text, known.get(key)) for key, text in at_tails if key not in heads}
    return concept_entries(keys, known, PersonalConcepts(heads, tails))


def _own_text(stored: object, known: BaseConcept | None) -> str:
    """How the user's triples show a concept. Not read where the base shows it. Raises DataLoss."""
    return "" if known is not None and known.text else rows.text(stored)


def neighborhood(
    session: Session, user: str, head: Concept, limit: int, at_revision: int | None
) -> Neighborhood:
    base = session.base()
    with session.reading():
        moment = session.moment(user, at_revision)
        found = session.ask(sql.MARKS_AT, moment, user, head=head.key, symmetric=session.symmetric)
    marks = seen_from(rows.all_marked(found), head, session.vocabulary)
    in_base = _in_base(session, base, marks)
    # A marked triple takes the place of another in its relation's slice
    slices = base.slices(head, limit + _most_of_a_relation(in_base))
    return assemble_neighborhood(head, moment.revision, slices, marks, in_base, limit)


def _most_of_a_relation(triples: Iterable[Triple]) -> int:
    """How many of `triples` are of the relation that most of them are of."""
    counts: dict[str, int] = {}
    for triple in triples:
        counts[triple.relation] = counts.get(triple.relation, 0) + 1
    return max(counts.values(), default=0)


def find(
    session: Session, user: str, triples: Sequence[Triple]
) -> dict[Triple, tuple[bool, Mark | None]]:
    base = session.base()
    with session.reading():
        marks = _marks_of(session, user, LATEST, triples)
    in_base = _in_base(session, base, triples)
    return {triple: (triple in in_base, marks.get(triple)) for triple in triples}


def _in_base(session: Session, base: BaseReader, triples: Iterable[Triple]) -> set[Triple]:
    """Those of `triples` that the base has, in one statement."""
    asked = list(triples)
    places = base.places_of(canonical(triple, session.vocabulary) for triple in asked)
    return {asked[place] for place in places}


def _marks_of(
    session: Session, user: str, moment: Moment, triples: Sequence[Triple]
) -> dict[Triple, Mark]:
    """The marks on `triples`, in one statement."""
    stored = rows.keys_json(canonical(triple, session.vocabulary) for triple in triples)
    found = session.ask(sql.MARKS_OF, moment, user, triples=stored)
    return {triples[row[-1]]: rows.marked(row)[1] for row in found}


# Pages of a neighborhood


def page_neighborhood(
    session: Session, user: str, head: Concept, page: Page, at_revision: int
) -> Listing[ViewedTriple]:
    base = session.base()
    own, start = _places(page.cursor)
    count = page.size + 1  # one more tells whether there is another page
    listed: _Listed = []
    with session.reading():
        reader = _PageReader(session, base, user, head, session.moment(user, at_revision))
        if own is not None:
            listed += reader.own(own, count)
        while start is not None and len(listed) < count:
            more, start = reader.of_base(start, count)
            listed += more
    return pages.cut(listed, page.size, cursors.encoded)


def _places(cursor: str) -> tuple[cursors.Place | None, BasePlace | None]:
    """(place among the user's own marks, or None behind them; place in the base) of a page's
    start."""
    if not cursor:
        return _BEFORE_ALL_MARKS, _FIRST_IN_BASE
    place = cursors.decoded(cursor, _AMONG_MARKS, _IN_BASE)
    if len(place) == len(_AMONG_MARKS):
        return place, _FIRST_IN_BASE
    position, side, offset = place
    return None, (position, side, offset)


@dataclass(frozen=True, slots=True)
class _PageReader:
    """Reads pieces of a user's neighborhood at one moment, each triple with the place behind it."""

    session: Session
    base: BaseReader
    user: str
    head: Concept
    moment: Moment

    def own(self, behind: cursors.Place, count: int) -> _Listed:
        """The next `count` triples that the user marked, newest first."""
        revision, position, relation, other = behind
        found = self.session.ask(
            sql.PAGE_OF_MARKS_AT,
            self.moment,
            self.user,
            head=self.head.key,
            symmetric=self.session.symmetric,
            count=count,
            stamp_revision=revision,
            stamp_position=position,
            relation=relation,
            other=other,
        )
        seen = seen_from(rows.all_marked(found), self.head, self.session.vocabulary)
        marks = dict(newest_first(seen)[:count])
        viewed = viewed_marks(marks, _in_base(self.session, self.base, marks))
        places = [
            (mark.stamp.revision, mark.stamp.position, triple.relation, triple.tail.key)
            for triple, mark in marks.items()
        ]
        return list(zip(viewed, places, strict=True))

    def of_base(self, start: BasePlace, count: int) -> tuple[_Listed, BasePlace | None]:
        """(the base's next triples without those the user marked, where to go on or None)."""
        edges = list(islice(self.base.edges_from(self.head, start, count), count))
        triples = [edge.triple for edge, _ in edges]
        marked = _marks_of(self.session, self.user, self.moment, triples)
        listed: _Listed = [
            (edge.viewed(), behind) for edge, behind in edges if edge.triple not in marked
        ]
        return listed, (edges[-1][1] if len(edges) == count else None)
