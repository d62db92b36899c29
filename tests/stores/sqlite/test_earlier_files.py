"""Files that the version before wrote are read as that version read them (`data/README.md`).

Every method of the port that reads is called, and what it returns is written out here.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.graph.concept import Concept
from server.graph.edit import (
    Account,
    Change,
    Edit,
    EditKind,
    StopReason,
    TripleProbabilities,
)
from server.graph.neighborhood import Neighborhood
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.sqlite.base import BASE_FILE, declared_relations, relation_names
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import (
    ConceptEntry,
    Erased,
    Page,
    RequestRecord,
    Snapshot,
    StoreCounts,
)
from tests.stores.sqlite.earlier import T0, added, restored, store_of_then

DOG = Concept.of("dog")

t = Triple.of
CARROTS, MEAT, BONES = (t("dog", "Desires", tail) for tail in ("carrots", "meat", "bones"))
TOFU, ICY = t("dog", "Desires", "tofu — ☕"), t("hot", "Antonym", "icy")
NAMED, FRIEND = t("Zoë", "is named", 'Zo "Z" ë'), t("ann", "Befriends", "dog")
RHUBARB = t("O’Hara", "likes", "rhubarb")
REVERT = "0" * 31 + "1"


def removed(revision: int, position: int = 0) -> Mark:
    return Mark(Origin.REMOVED, Stamp(revision, position))


ACCOUNT = Account(
    query="What does my dog like?",
    answer="tofu — ☕",
    subject="dog",
    object="tofu — ☕",
    relations=("Desires", "HasA"),
    loss_before=math.inf,
    loss_after=0.125,
    stop_reason=StopReason.OVERTOOK,
    converged=True,
    answer_before="carrots",
    answer_after="tofu — ☕",
)
LOG = [
    Edit(
        "edit-1",
        1,
        EditKind.FACTS,
        T0 + 1,
        (Change(CARROTS, None, added(1)), Change(NAMED, None, added(1, 1))),
    ),
    Edit(
        "edit-2",
        2,
        EditKind.FACTS,
        T0 + 2,
        (
            Change(BONES, None, removed(2)),
            Change(ICY, None, added(2, 1)),
            Change(RHUBARB, None, added(2, 2)),
        ),
    ),
    Edit(
        "edit-3",
        3,
        EditKind.PERSONALIZE,
        T0 + 3,
        (
            Change(TOFU, None, added(3), TripleProbabilities(0.0, 0.75, 0.9, 0.05)),
            Change(MEAT, None, removed(3, 1), TripleProbabilities(0.25, 0.0, 0.1)),
        ),
        account=ACCOUNT,
        relied_on=(CARROTS,),
    ),
    Edit(
        REVERT,
        4,
        EditKind.REVERT,
        T0,
        (
            Change(RHUBARB, added(2, 2), None),
            Change(ICY, added(2, 1), None),
            Change(BONES, removed(2), None),
        ),
        reverts="edit-2",
    ),
    Edit(
        "edit-5",
        5,
        EditKind.FACTS,
        T0 + 5,
        (Change(CARROTS, added(1), added(5)), Change(FRIEND, None, added(5, 1))),
    ),
]
"""What ann did, and 犬 imported."""
OVERLAY = {
    FRIEND: added(5, 1),
    CARROTS: added(5),
    MEAT: removed(3, 1),
    TOFU: added(3),
    NAMED: added(1, 1),
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = store_of_then(tmp_path)
    yield store
    await store.close()


def shown(view: Neighborhood) -> dict[str, tuple[list[str], list[str], int]]:
    """relation -> (tails of the personal triples, tails of the base's, how many of the base's)."""
    found = {}
    for part in view.slices:
        personal = [viewed.triple.tail.text for viewed in part.personal]
        base = [viewed.triple.tail.text for viewed in part.base]
        found[part.relation] = (personal, base, part.base_count)
    return found


async def test_the_store_is_whole(store: SqliteStore) -> None:
    await store.health()
    assert store.base_fingerprint == "580ee0dfa47cd2d0"
    assert await store.check() == []
    assert await store.counts() == StoreCounts(concepts=26, triples=22, users=3, edits=12)


async def test_users_stand_where_they_stood(store: SqliteStore) -> None:
    assert await store.snapshot("ann") == Snapshot(5, "83e0b5fe76dbcc5311958df92996d8b9")
    assert await store.snapshot("犬") == Snapshot(5, "03a106e9f94f896ba847ed520af09191")
    assert await store.snapshot("cy") == Snapshot(2, "d1dd7e0d6f598d63c94e3161bfb46d9f")
    assert await store.snapshot("quiet") == Snapshot(0, "none:0")
    assert await store.snapshot("eve") == Snapshot(0, "none:1"), "who was erased"


async def test_concepts_are_looked_up(store: SqliteStore) -> None:
    keys = ["dog", "dogs", "woof", "ann", "zoë", "o'hara", "rhubarb", "carrots", "動物", "unheard"]
    assert await store.look_up("ann", keys) == {
        "dog": ConceptEntry(DOG, True, 11, 2),
        "dogs": ConceptEntry(Concept.of("dogs"), True, 0, 0, ("dog",)),
        "woof": ConceptEntry(Concept.of("woof"), True, 0, 0),
        "ann": ConceptEntry(Concept.of("ann"), False, 0, 1),
        "zoë": ConceptEntry(Concept.of("Zoë"), False, 0, 1),
        "o'hara": ConceptEntry(Concept.of("O'Hara"), True, 2, 0),
        "carrots": ConceptEntry(Concept.of("carrots"), False, 0, 0),
        "動物": ConceptEntry(Concept.of("動物"), True, 0, 0),
    }
    then = await store.look_up("ann", ["o'hara", "rhubarb", "ann"], 2)
    assert then == {
        "o'hara": ConceptEntry(Concept.of("O'Hara"), True, 2, 1),
        "rhubarb": ConceptEntry(Concept.of("rhubarb"), False, 0, 0),
    }
    texts = [entry.concept.text for entry in then.values()]
    assert texts == ["O’Hara", "rhubarb"], "shown as they were written first"
    assert (await store.look_up("eve", ["eve", "spy"])) == {}


async def test_neighborhoods_are_put_together(store: SqliteStore) -> None:
    view = await store.neighborhood("ann", DOG, 2)
    assert view.revision == 5
    assert shown(view) == {
        "AtLocation": ([], ["kennel"], 1),
        "Befriends": (["ann"], ["ant", "cat"], 2),
        "Desires": (["carrots", "tofu — ☕"], ["bones"], 1),
        "HasA": ([], ["fur", "tail"], 3),
        "IsA": ([], ["pet"], 1),
        "Outranks": ([], ["cat"], 1),
        "Synonym": ([], ["🐶"], 1),
        "ist verwandt mit": ([], ["Wölfin"], 1),
    }
    assert [v.weight for v in view.slice("HasA").base] == [2.0, 1.0]
    then = await store.neighborhood("ann", DOG, 9, 2)
    assert shown(then)["Desires"] == (["carrots"], ["meat"], 1)
    hot = Concept.of("hot")
    assert shown(await store.neighborhood("ann", hot, 9, 2)) == {
        "Antonym": (["icy"], ["freezing", "cold", "warm"], 3)
    }
    assert shown(await store.neighborhood("ann", hot, 9)) == {
        "Antonym": ([], ["freezing", "cold", "warm"], 3)
    }
    himself = await store.neighborhood("ann", Concept.of("me"), 9)
    assert shown(himself) == {"SimilarTo": ([], ["me"], 1)}
    cafe = await store.neighborhood("quiet", Concept.of("naïve café"), 9)
    assert [(v.triple.tail.text, v.weight) for v in cafe] == [("terrace", 1.000001)]


async def test_a_neighborhood_is_paged(store: SqliteStore) -> None:
    pages: list[list[tuple[str, str, Origin]]] = []
    cursor = ""
    while not pages or cursor:
        listing = await store.page_neighborhood("ann", DOG, Page(3, cursor), 5)
        pages.append([(v.triple.relation, v.triple.tail.text, v.origin) for v in listing.items])
        cursor = listing.next_cursor
    base = Origin.BASE
    assert pages == [
        [
            ("Befriends", "ann", Origin.ADDED),
            ("Desires", "carrots", Origin.ADDED),
            ("Desires", "meat", Origin.REMOVED),
        ],
        [
            ("Desires", "tofu — ☕", Origin.ADDED),
            ("AtLocation", "kennel", base),
            ("Befriends", "ant", base),
        ],
        [("Befriends", "cat", base), ("Desires", "bones", base), ("HasA", "fur", base)],
        [("HasA", "tail", base), ("HasA", "nose", base), ("IsA", "pet", base)],
        [
            ("Outranks", "cat", base),
            ("Synonym", "🐶", base),
            ("ist verwandt mit", "Wölfin", base),
        ],
    ]


async def test_triples_are_found(store: SqliteStore) -> None:
    asked = [CARROTS, MEAT, BONES, ICY, FRIEND.mirrored(), t("dog", "Befriends", "cat")]
    assert await store.find("ann", asked) == {
        CARROTS: (False, added(5)),
        MEAT: (True, removed(3, 1)),
        BONES: (True, None),
        ICY: (False, None),
        FRIEND.mirrored(): (False, added(5, 1)),
        t("dog", "Befriends", "cat"): (True, None),
    }


async def test_personal_facts_are_listed(store: SqliteStore) -> None:
    found: list[tuple[Triple, Mark, str, int]] = []
    cursor = ""
    while not found or cursor:
        listing = await store.personal_facts("ann", Page(2, cursor), 5)
        found += [(f.triple, f.mark, f.edit_id, f.time_ms) for f in listing.items]
        cursor = listing.next_cursor
    assert found == [
        (FRIEND, added(5, 1), "edit-5", T0 + 5),
        (CARROTS, added(5), "edit-5", T0 + 5),
        (MEAT, removed(3, 1), "edit-3", T0 + 3),
        (TOFU, added(3), "edit-3", T0 + 3),
        (NAMED, added(1, 1), "edit-1", T0 + 1),
    ]
    assert found[-1][0].tail.text == 'Zo "Z" ë'
    then = (await store.personal_facts("ann", Page(9), 2)).items
    assert [(fact.triple, fact.mark) for fact in then] == [
        (RHUBARB, added(2, 2)),
        (ICY, added(2, 1)),
        (BONES, removed(2)),
        (NAMED, added(1, 1)),
        (CARROTS, added(1)),
    ]


async def test_the_log_is_read(store: SqliteStore) -> None:
    assert await store.history("ann") == LOG
    first = await store.edits("ann", Page(2), 5)
    second = await store.edits("ann", Page(2, first.next_cursor), 5)
    last = await store.edits("ann", Page(2, second.next_cursor), 5)
    assert [*first.items, *second.items, *last.items] == LOG[::-1]
    assert (await store.edits("ann", Page(9), 2)).items == (LOG[1], LOG[0])
    assert await store.edit("ann", "edit-3") == LOG[2]
    assert await store.edits_since("ann", 1, [CARROTS]) == [LOG[2], LOG[4]]
    assert await store.edits_since("ann", 0, [FRIEND.mirrored()]) == [LOG[4]]
    assert await store.reverts("ann") == [(REVERT, "edit-2")]
    overlay = await store.overlay("ann")
    assert (overlay.revision, overlay.marks) == (5, OVERLAY)


async def test_what_was_imported_is_read(store: SqliteStore) -> None:
    imported = t("O’Hara", "Desires", "rhubarb")  # an import names relations by the vocabulary
    history = await store.history("犬")
    assert [edit.id for edit in history] == [edit.id for edit in LOG]
    assert history[2] == LOG[2]
    assert isinstance(history[1], Edit)
    assert history[1].changes[2].triple == imported
    assert (await store.overlay("犬")).marks == OVERLAY
    assert await store.reverts("犬") == [(REVERT, "edit-2")]
    kinds = [edit.kind for edit in await store.history("cy") if isinstance(edit, Edit)]
    assert kinds == [EditKind.FACTS, EditKind.IMPORT]
    assert (await store.overlay("cy")).marks == {
        NAMED: added(2),
        TOFU: added(2, 1),
        MEAT: removed(2, 2),
        CARROTS: added(2, 3),
        FRIEND: added(2, 4),
    }


async def test_responses_are_kept(store: SqliteStore) -> None:
    for n in range(1, 6):
        kept = RequestRecord(f"r-{n}", f"hash of r-{n}", f"response to r-{n}".encode())
        assert await store.response("ann", f"r-{n}") == kept
    assert await store.response("犬", "r-1") == RequestRecord("r-1", "hash of r-1", b"imported")
    assert await store.response("quiet", "r-1") is not None
    assert await store.response("cy", "r-1") is None
    assert await store.response("eve", "r-1") is None


async def test_an_erase_is_not_done_twice(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    week_later_ms = T0 + 7 * 24 * 3600 * 1000
    monkeypatch.setattr(time, "time_ns", lambda: week_later_ms * 1_000_000)
    assert await store.erase("eve", "erase-1") == Erased(1, 1, 1, 2, 1)
    assert await store.snapshot("eve") == Snapshot(0, "none:1")


async def test_writing_goes_on(store: SqliteStore) -> None:
    mark = added(6)
    edit = Edit("edit-6", 6, EditKind.FACTS, T0 + 6, (Change(BONES, None, mark),))
    await store.commit("ann", await store.snapshot("ann"), [edit], None)
    assert (await store.find("ann", [BONES]))[BONES] == (True, mark)
    assert (await store.snapshot("ann")).overlay_id == "83e0b5fe76dbcc5311958df92996d8b9"
    assert await store.erase("ann") == Erased(6, 5, 1, 5, 5)
    assert await store.check() == []


async def test_a_base_of_conceptnet_is_read(tmp_path: Path) -> None:
    restored(tmp_path / BASE_FILE, "base_v3_conceptnet.sql")
    assert declared_relations(tmp_path) == ""
    names = ["Antonym", "Desires", "FormOf", "RelatedTo", "dbpedia/genre"]
    assert sorted(relation_names(tmp_path)) == names
    store = SqliteStore(tmp_path, Vocabulary.built_in().with_base_names(names))
    seen = [
        (v.triple.head.text, v.triple.relation, v.triple.tail.text, v.weight, v.dataset, v.license)
        for text in ("dog", "hot", "naïve café", "street")
        for v in await store.neighborhood("ann", Concept.of(text), 9)
    ]
    assert seen == [
        ("dog", "Desires", "meat", 4.0, "/d/conceptnet/4/en", "cc:by-sa/4.0"),
        ("dog", "Desires", "bones", 1.0, "/d/verbosity", "cc:by-sa/4.0"),
        ("hot", "Antonym", "cold", 2.828, "/d/wordnet/3.1", "cc:by/4.0"),
        ("hot", "Antonym", "freezing", 1.0, "/d/wordnet/3.1", "cc:by/4.0"),
        ("naïve café", "dbpedia/genre", "jazz", 0.5, "/d/dbpedia/en", "cc:by-sa/4.0"),
        ("street", "RelatedTo", "straße", 1.0, "/d/wiktionary/en", "cc:by-sa/4.0"),
    ]
    assert store.base_fingerprint == "0b343c2fd9659489"
    assert await store.counts() == StoreCounts(concepts=11, triples=7)
    await store.close()
