"""Loading a base into the graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.errors import BaseLoading, StoreUnusable
from server.graph.concept import Concept
from server.graph.neighborhood import ViewedTriple
from server.graph.triple import Mark, Origin, Stamp
from server.stores.neo4j.base import PlacedConcept, RankedEdge
from server.stores.neo4j.connection import Connection, Neo4jLogin
from server.stores.neo4j.loading import load_base
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import GraphStore
from testbed.bases import BaseTriple, build_base
from testbed.neo4j.graphs import SqliteSource, fill
from tests.conformance.graph_store import (
    BONES,
    CARROTS,
    DOG,
    MEAT,
    VOCABULARY,
    add,
    every_page,
    remove,
    t,
    tails,
)
from tests.stores.neo4j.looking import SMALL, rows

OTHER = [BaseTriple(BONES, 3.0), BaseTriple(t("cat", "Desires", "fish"))]


async def test_the_base_reads_as_in_the_embedded_store(store: Neo4jStore, tmp_path: Path) -> None:
    embedded = SqliteStore(tmp_path, VOCABULARY)
    assert store.base_fingerprint == embedded.base_fingerprint
    for head in ("dog", "cold", "hot", "warm", "Ann", "Bob", "nothing"):
        for limit in (0, 1, 50):
            concept = Concept.of(head)
            seen = await store.neighborhood("x", concept, limit)
            assert seen == await embedded.neighborhood("x", concept, limit)
        for size in (1, 2, 50):
            assert await paged(store, head, size) == await paged(embedded, head, size)
    keys = ["dog", "cold", "hot", "bob", "nothing"]
    assert await store.look_up("x", keys) == await embedded.look_up("x", keys)
    await embedded.close()


async def paged(store: GraphStore, head: str, size: int) -> list[ViewedTriple]:
    concept = Concept.of(head)
    return await every_page(lambda page: store.page_neighborhood("x", concept, page, 0), size)


@pytest.mark.usefixtures("store")
async def test_the_same_base_again_changes_nothing(login: Neo4jLogin, tmp_path: Path) -> None:
    assert (await fill(login, SMALL, VOCABULARY, tmp_path)).unchanged


async def test_another_base_needs_replace_and_overlays_stay(
    store: Neo4jStore, connection: Connection, tmp_path: Path
) -> None:
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    counts = build_base(tmp_path / "other", OTHER, VOCABULARY)
    source = SqliteSource(tmp_path / "other" / BASE_FILE)
    with pytest.raises(StoreUnusable, match="--replace"):
        await load_base(connection, source, VOCABULARY)
    await load_base(connection, source, VOCABULARY, replace=True)
    source.close()
    view = await store.neighborhood("ann", DOG, 9)
    assert tails(view, "Desires") == ["carrots", "bones"]
    assert (await store.find("ann", [MEAT]))[MEAT] == (False, Mark(Origin.REMOVED, Stamp(2, 0)))
    assert store.base_fingerprint == counts.fingerprint
    assert set(await store.look_up("ann", ["hot", "meat", "cat", "carrots"])) == {"cat", "carrots"}
    assert await store.check() == []
    kept = await rows(
        connection, "MATCH (s)-[m:DELETED]->(o) RETURN s.uri, labels(o)[0], o.uri, o.user"
    )
    assert kept == [["dog", "PersonalConcept", "meat", "ann"]]
    assert await rows(connection, "MATCH (c:Concept) RETURN count(c)") == [[counts.concepts]]


async def test_a_stopped_load_goes_on_where_it_was(
    store: Neo4jStore, connection: Connection, tmp_path: Path
) -> None:
    triples = [BaseTriple(t("dog", "HasA", f"part {n}"), float(n)) for n in range(50)]
    counts = build_base(tmp_path / "more", triples, VOCABULARY)
    source = SqliteSource(tmp_path / "more" / BASE_FILE)
    for failing_at in (0, 17, 23):
        with pytest.raises(OSError, match="the source broke"):
            broken = _BreakingSource(source, failing_at)
            await load_base(connection, broken, VOCABULARY, replace=True, batch=5)
        with pytest.raises(BaseLoading):
            await store.health()
    loaded = await load_base(connection, source, VOCABULARY, batch=5)
    source.close()
    assert loaded.resumed
    await store.health()
    assert store.base_fingerprint == counts.fingerprint
    view = await store.neighborhood("ann", DOG, 99)
    assert tails(view, "HasA") == [f"part {n}" for n in reversed(range(50))]
    assert view.count == 50


class _BreakingSource:
    """A source that cannot be read beyond some edge."""

    lanes = 1

    def __init__(self, source: SqliteSource, failing_at: int) -> None:
        self.counts, self._source, self._failing_at = source.counts, source, failing_at

    def concepts(self, lane: int, start: int) -> Iterator[PlacedConcept]:
        return self._source.concepts(lane, start)

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        for place, made in enumerate(self._source.edges(round, lane, start), start):
            if place == self._failing_at:
                raise OSError("the source broke")
            yield made
