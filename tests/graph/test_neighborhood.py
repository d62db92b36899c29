from server.graph.concept import Concept
from server.graph.neighborhood import Neighborhood, RelationSlice, ViewedTriple
from server.graph.triple import Origin, Stamp, Triple

MEAT, BONES, KENNEL = (
    Triple.of("dog", "Desires", "meat"),
    Triple.of("dog", "Desires", "bones"),
    Triple.of("dog", "AtLocation", "kennel"),
)
CARROTS = Triple.of("dog", "Desires", "carrots")


def base(*triples: Triple) -> tuple[ViewedTriple, ...]:
    return tuple(ViewedTriple(t, Origin.BASE, in_base=True, weight=1.0) for t in triples)


VIEW = Neighborhood(
    Concept.of("dog"),
    0,
    (
        RelationSlice("AtLocation", (), base(KENNEL), 1),
        RelationSlice("Desires", (), base(MEAT, BONES), 7),
    ),
)


def test_adding_puts_a_new_triple_before_the_base() -> None:
    view = VIEW.with_added(CARROTS, Stamp(1, 0))
    part = view.slice("Desires")
    assert [v.triple for v in part.triples] == [CARROTS, MEAT, BONES]
    assert part.count == 8
    assert VIEW.slice("Desires").count == 7, "the old view is as it was"


def test_adding_a_base_triple_makes_it_personal_and_counts_it_once() -> None:
    part = VIEW.with_added(BONES, Stamp(1, 0)).slice("Desires")
    assert [v.triple for v in part.personal] == [BONES]
    assert part.personal[0].in_base
    assert part.personal[0].weight == 1.0
    assert part.count == 7


def test_adding_again_makes_it_the_newest() -> None:
    view = (
        VIEW.with_added(CARROTS, Stamp(1, 0))
        .with_added(BONES, Stamp(1, 1))
        .with_added(CARROTS, Stamp(2, 0))
    )
    assert [v.triple for v in view.slice("Desires").personal] == [CARROTS, BONES]


def test_removing_hides_and_counts_down_and_an_empty_relation_is_gone() -> None:
    assert VIEW.without(MEAT).slice("Desires").count == 6
    assert VIEW.without(KENNEL).slice("AtLocation").count == 0
    assert [s.relation for s in VIEW.without(KENNEL).slices] == ["Desires"]


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert VIEW.without(CARROTS) == VIEW


def test_personal_triples_from_anywhere_come_into_the_view_the_newest_first() -> None:
    jazz, hat = Triple.of("I", "Desires", "jazz"), Triple.of("I", "Owns", "hat")
    view = VIEW
    for triple, stamp in ((jazz, Stamp(2, 1)), (CARROTS, Stamp(3, 0)), (hat, Stamp(1, 0))):
        view = view.with_added(triple, stamp)
    assert [v.triple for v in view.slice("Desires").triples] == [CARROTS, jazz, MEAT, BONES]
    assert view.slice("Desires").count == 9
    assert [s.relation for s in view.slices] == ["AtLocation", "Desires", "Owns"]
    assert view.head == VIEW.head
    assert VIEW.slice("Desires").count == 7, "the old view is as it was"


def test_a_personal_triple_of_the_base_is_counted_once() -> None:
    view = VIEW.with_added(BONES, Stamp(1, 0)).with_added(BONES, Stamp(1, 0))
    assert [v.triple for v in view.slice("Desires").personal] == [BONES]
    assert [v.triple for v in view.slice("Desires").base] == [MEAT]
    assert view.slice("Desires").count == 7
