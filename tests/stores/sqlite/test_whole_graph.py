"""The embedded store over a graph shaped like ConceptNet: hubs, untidy concepts, reads by index."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from server.graph.concept import Concept
from server.stores.sqlite import sql
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import ConceptEntry, Page
from server.tuning.subject.choice import find_subject
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import VOCABULARY, add, t

LEAVES = 100_000
RELATIONS = [r.name for r in VOCABULARY.retrievable()][:10]
UNTIDY = [
    "o'brien's",
    "don't panic",
    "catch 22",
    "2001",
    "naïve café",
    "犬",
    "собака",
    "x" * 300,
    "50% off",
    "'s",
    "c++",
    "🐶 dog",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    build_base(
        folder,
        [
            *(
                BaseTriple(t("slang", "HasProperty", f"property {n}"), float(n % 1000))
                for n in range(LEAVES)
            ),
            *(
                BaseTriple(t(f"leaf {n}", "Antonym", "zone"), float(n % 1000))
                for n in range(LEAVES)
            ),
            *(BaseTriple(t(text, "IsA", "untidy thing")) for text in UNTIDY),
            *(BaseTriple(t("pair one", relation, "pair two")) for relation in RELATIONS),
            BaseTriple(t("self", "IsA", "self")),
            BaseTriple(t("mirror", "SimilarTo", "mirror")),
        ],
        VOCABULARY,
    )
    return folder


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder, VOCABULARY)
    yield store
    await store.close()


# Hubs


async def test_a_hub_is_counted_whole_and_read_to_the_limit(store: SqliteStore) -> None:
    part = (await store.neighborhood("ann", Concept.of("slang"), 64)).slice("HasProperty")
    assert (part.base_count, len(part.base)) == (LEAVES, 64)
    assert {v.weight for v in part.base} == {999.0}


async def test_a_mirrored_hub_is_read_heaviest_first_and_then_by_key(store: SqliteStore) -> None:
    part = (await store.neighborhood("ann", Concept.of("zone"), 64)).slice("Antonym")
    assert part.base_count == LEAVES
    heaviest = sorted(f"leaf {n}" for n in range(999, LEAVES, 1000))
    assert [v.triple.tail.text for v in part.base] == heaviest[:64]


async def test_a_page_deep_in_a_hub_goes_on_where_the_last_ended(store: SqliteStore) -> None:
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        listing = await store.page_neighborhood("ann", Concept.of("zone"), Page(500, cursor), 0)
        seen += [v.triple.tail.key for v in listing.items]
        cursor = listing.next_cursor
    assert len(set(seen)) == len(seen) == 1500


async def test_reading_a_hub_takes_no_more_memory_than_reading_a_leaf(store: SqliteStore) -> None:
    async def peak(text: str) -> int:
        await store.neighborhood("ann", Concept.of(text), 64)
        tracemalloc.start()
        await store.neighborhood("ann", Concept.of(text), 64)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert await peak("slang") < await peak("untidy thing") + 200_000


def plan(folder: Path, query: str, *arguments: object) -> list[str]:
    with sqlite3.connect(folder / BASE_FILE) as connection:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", arguments)]


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        (sql.LOOK_UP_CONCEPTS, ('["dog"]',)),
        (sql.FORMS_OF, ("[1]", 1)),
        (sql.COUNT_OF_RELATION, (1, 1)),
        (sql.COUNT_MIRRORED, (1, -1)),
        (sql.EDGES_OF_RELATION, (1, 1, 0, 64)),
        (sql.MIRRORED_EDGES, (1, -1, 64, 0)),
        (sql.FIND_EDGES, ('[["a", "IsA", "b"]]',)),
    ],
)
def test_what_users_cause_is_read_by_index_and_never_sorted(
    query: str, arguments: tuple[object, ...], folder: Path
) -> None:
    steps = plan(folder, query, *arguments)
    assert not [s for s in steps if s.startswith("SCAN") and "VIRTUAL TABLE" not in s], steps
    if query != sql.FORMS_OF:  # a word is a form of a few others
        assert not [s for s in steps if "TEMP B-TREE" in s], steps


async def test_an_edge_is_found_wherever_it_stands_in_a_hub(
    store: SqliteStore, folder: Path
) -> None:
    heaviest, lightest = (
        t("slang", "HasProperty", "property 999"),
        t("slang", "HasProperty", "property 0"),
    )
    other = t("slang", "HasProperty", "property of none")
    found = await store.find("ann", [heaviest, lightest, other])
    assert [found[z][0] for z in (heaviest, lightest, other)] == [True, True, False]
    steps = plan(folder, sql.FIND_EDGES, '[["slang", "HasProperty", "property 0"]]')
    assert any("edges_of_hubs (head=? AND relation=? AND tail=?" in step for step in steps), steps


async def test_a_base_of_the_version_before_is_read_the_same(
    store: SqliteStore, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / BASE_FILE).write_bytes((folder / BASE_FILE).read_bytes())
    with sqlite3.connect(tmp_path / BASE_FILE) as connection:
        connection.executescript(
            """DROP INDEX edges_of_hubs; DROP INDEX edges_mirrored;
            CREATE UNIQUE INDEX edges_by_tail ON edges (tail, relation, head);
            CREATE INDEX edges_mirrored ON edges (tail, relation, weight DESC, head);
            UPDATE meta SET value = '2' WHERE key = 'schema_version';"""
        )
    before = SqliteStore(tmp_path, VOCABULARY)
    for text in ("zone", "slang", "leaf 5", "self", "mirror"):
        concept = Concept.of(text)
        assert await before.neighborhood("bob", concept, 64) == await store.neighborhood(
            "bob", concept, 64
        )
    deep = t("slang", "HasProperty", "property 0")
    assert (await before.find("bob", [deep]))[deep][0]
    steps = plan(tmp_path, sql.FIND_EDGES, '[["slang", "HasProperty", "property 0"]]')
    assert not [
        step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE" not in step
    ], steps
    await before.close()


# Subjects


class Counting(SqliteStore):
    """Counts what it is asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, VOCABULARY)
        self.asked: list[Sequence[str]] = []

    async def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None = None
    ) -> dict[str, ConceptEntry]:
        self.asked.append(keys)
        return dict(await super().look_up(user, keys, at_revision))


async def test_a_subject_is_found_in_two_reads_with_one_key_a_span(folder: Path) -> None:
    store = Counting(folder)
    query = (
        "could you please tell me "
        + "where a very old brown slang word " * 5
        + "might have come from"
    )
    choice = await find_subject(store, "ann", query)
    assert choice.match.concept == Concept.of("slang")
    assert len(store.asked) <= 2
    assert all(len(keys) == len(set(keys)) for keys in store.asked)
    await store.close()


# Concepts of real data


@pytest.mark.parametrize("text", UNTIDY, ids=range(len(UNTIDY)))
async def test_an_untidy_concept_is_found_read_and_edited(text: str, store: SqliteStore) -> None:
    concept = Concept.of(text.replace(" ", "_").upper())
    assert concept.key in await store.look_up("ann", [concept.key])
    own = t(text, "HasProperty", "odd")
    await add(store, text[:20], own)
    view = await store.neighborhood(text[:20], concept, 9)
    assert [v.triple.tail.text for s in view.slices for v in s.triples] == ["odd", "untidy thing"]


async def test_one_pair_with_ten_relations_keeps_them_all(store: SqliteStore) -> None:
    view = await store.neighborhood("ann", Concept.of("pair one"), 9)
    assert sorted(s.relation for s in view.slices) == sorted(RELATIONS)
    assert view.count == len(RELATIONS)


async def test_a_self_loop_is_one_triple(store: SqliteStore) -> None:
    for text in ("self", "mirror"):
        view = await store.neighborhood("ann", Concept.of(text), 9)
        assert [(v.triple.head.key, v.triple.tail.key) for s in view.slices for v in s.triples] == [
            (text, text)
        ]
        assert view.count == 1
