"""A user's view from the base's edges and the overlay's marks."""

from __future__ import annotations

from server.graph.concept import Concept
from server.graph.neighborhood import ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.rules.view import (
    BaseEdge,
    BaseSlice,
    assemble_neighborhood,
    base_slice,
    newest_first,
    seen_from,
    viewed_marks,
)

VOCABULARY = Vocabulary.built_in()
DOG, HOT = Concept.of("dog"), Concept.of("hot")
MEAT, BONES, BALL = (Triple.of("dog", "Desires", tail) for tail in ("meat", "bones", "ball"))


def mark(origin: Origin, revision: int) -> Mark:
    return Mark(origin, Stamp(revision, 0))


def test_a_view_is_the_base_without_the_removed_and_with_the_added() -> None:
    base = {"Desires": BaseSlice(3, (BaseEdge(MEAT, 2.0), BaseEdge(BONES, 1.0)))}
    marks = {MEAT: mark(Origin.REMOVED, 1), BALL: mark(Origin.ADDED, 2)}
    view = assemble_neighborhood(DOG, 2, base, marks, {MEAT}, limit=9)
    part = view.slice("Desires")
    assert [v.triple for v in part.triples] == [BALL, BONES]
    assert (part.base_count, view.revision) == (2, 2)


def test_an_added_triple_of_the_base_keeps_its_weight() -> None:
    base = {"Desires": BaseSlice(1, (BaseEdge(MEAT, 2.0, "/d/x", "cc0"),))}
    view = assemble_neighborhood(DOG, 1, base, {MEAT: mark(Origin.ADDED, 1)}, {MEAT}, limit=9)
    (viewed,) = view.slice("Desires").triples
    assert (viewed.origin, viewed.in_base, viewed.weight) == (Origin.ADDED, True, 2.0)
    assert (viewed.dataset, viewed.license, viewed.stamp) == ("/d/x", "cc0", Stamp(1, 0))


def test_a_slice_puts_stored_and_mirrored_edges_together() -> None:
    def edge(tail: str, weight: float) -> BaseEdge:
        return BaseEdge(Triple.of("hot", "Antonym", tail), weight)

    stored = [edge("icy", 2.0), edge("cold", 1.0)]
    mirrored = [edge("arctic", 3.0), edge("chilly", 1.0)]
    together = base_slice(5, stored, mirrored, limit=3)
    assert together.count == 5
    assert [e.triple.tail.text for e in together.edges] == ["arctic", "icy", "chilly"]
    assert base_slice(2, stored, [], limit=1).edges == (stored[0],)


def test_marks_are_seen_from_where_they_start() -> None:
    antonym = Triple.of("cold", "Antonym", "hot")
    marks = {antonym: mark(Origin.ADDED, 1), MEAT: mark(Origin.ADDED, 2)}
    assert seen_from(marks, HOT, VOCABULARY) == {antonym.mirrored(): marks[antonym]}
    assert seen_from(marks, DOG, VOCABULARY) == {MEAT: marks[MEAT]}
    assert seen_from(marks, Concept.of("meat"), VOCABULARY) == {}


def test_marks_are_listed_newest_first_with_whether_the_base_has_them() -> None:
    marks = {MEAT: mark(Origin.REMOVED, 1), BALL: mark(Origin.ADDED, 2)}
    ordered = dict(newest_first(marks))
    assert list(ordered) == [BALL, MEAT]
    assert viewed_marks(ordered, {MEAT}) == [
        ViewedTriple(BALL, Origin.ADDED, in_base=False, stamp=Stamp(2, 0)),
        ViewedTriple(MEAT, Origin.REMOVED, in_base=True, stamp=Stamp(1, 0)),
    ]
