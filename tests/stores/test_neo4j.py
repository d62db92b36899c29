"""What only the store on Neo4j does: its plans, schema, loading of a base, startup errors, lost
connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

from server.errors import BaseLoading, InvalidSetting, StoreUnreachable, StoreUnusable
from server.graph.concept import Concept
from server.graph.edit import Change
from server.graph.neighborhood import ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp
from server.settings import read_settings
from server.stores.neo4j import cypher
from server.stores.neo4j.base import BaseConcept, RankedEdge, SqliteSource, load_base, meetings
from server.stores.neo4j.connection import Connection, Neo4jLogin, checked_login
from server.stores.neo4j.rows import NEWEST, asked_rows, owner_of, place_of, uri_of
from server.stores.neo4j.store import Neo4jStore
from server.stores.rules.erasures import erasure_bucket
from server.stores.sqlite.base import BASE_FILE, BaseReader
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import GraphStore, Page
from testbed.bases import BaseTriple, build_base
from testbed.neo4j import Database
from testbed.processes import free_port
from tests.conformance.graph_store import (
    BONES,
    CARROTS,
    DOG,
    MEAT,
    VOCABULARY,
    add,
    added,
    edit,
    remove,
    t,
)
from tests.neo4j.graphs import fill, forget_users, run

SMALL = [
    BaseTriple(MEAT, 4.0, "/d/test", "cc0"),
    BaseTriple(BONES, 3.0),
    BaseTriple(t("hot", "Antonym", "cold")),
    BaseTriple(t("cold", "Antonym", "warm"), 2.0),
    BaseTriple(t("Ann", "is the boss of", "Bob")),
]
OTHER = [BaseTriple(BONES, 3.0), BaseTriple(t("cat", "Desires", "fish"))]


@pytest.fixture
def login(neo4j_database: Database) -> Neo4jLogin:
    return neo4j_database.login


@pytest.fixture
async def store(login: Neo4jLogin, tmp_path: Path) -> AsyncIterator[Neo4jStore]:
    await fill(login, SMALL, VOCABULARY, tmp_path)
    await forget_users(login)
    opened = await Neo4jStore.open(login, VOCABULARY)
    yield opened
    await opened.close()


@pytest.fixture
async def connection(login: Neo4jLogin) -> AsyncIterator[Connection]:
    opened = Connection(login)
    yield opened
    await opened.close()


# Names and values, without a database


def test_the_closed_list_of_types_is_the_vocabulary() -> None:
    assert {*cypher.DIRECTED_TYPES, *cypher.SYMMETRIC_TYPES} == {r.name for r in VOCABULARY}
    assert set(cypher.SYMMETRIC_TYPES) == VOCABULARY.symmetric_names()
    assert all(name.replace("/", "").isalpha() for name in cypher.BASE_TYPES), (
        "nothing that backticks do not hold"
    )


def test_a_key_too_long_for_an_index_is_cut_and_told_apart() -> None:
    assert uri_of("dog") == "dog"
    long, other = "ﷺ" * 3_000, "ﷺ" * 3_001
    assert len(uri_of(long).encode()) < 1_000
    assert uri_of(long) != uri_of(other)


def test_the_password_is_not_shown() -> None:
    login = checked_login("bolt://localhost:7687", "neo4j", "hunter2", "")
    assert "hunter2" not in repr(login)
    settings = read_settings(
        ["--store", "bolt://localhost:7687", "--neo4j-user", "kgt", "--neo4j-password", "hunter2"]
    )
    assert "hunter2" not in f"{settings!r} {settings} {settings.neo4j_login!r}"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--store", "bolt://localhost:7687"], "KGT_NEO4J_USER: is required"),
        (
            ["--store", "bolt://localhost:7687", "--neo4j-user", "kgt"],
            "KGT_NEO4J_PASSWORD: is required",
        ),
        (["--store", "postgres://localhost"], "KGT_STORE: is sqlite, or"),
        (["--store", "bolt://kgt:hunter2@localhost:7687"], "KGT_STORE: holds a user or password"),
    ],
)
def test_a_wrong_store_is_said_without_what_is_secret(arguments: list[str], complaint: str) -> None:
    with pytest.raises(InvalidSetting, match=complaint) as refused:
        read_settings(arguments)
    assert "hunter2" not in str(refused.value)


# The graph


async def test_reads_use_the_overlay_s_index_and_do_not_pay_for_other_users(
    store: Neo4jStore, login: Neo4jLogin, connection: Connection
) -> None:
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    before = await profiled(connection)
    for start in range(0, 100_000, 10_000):
        await run(login, FOREIGN_EDGES, start=start, count=10_000)
    after = await profiled(connection)
    view = await store.neighborhood("ann", DOG, 9)
    await run(login, *[FORGET_FOREIGN_EDGES] * 10)
    assert [v.triple.tail.text for v in view.slice("Desires").triples] == ["carrots", "bones"]
    for plan in (before["marks"], after["marks"]):
        operators = operators_of(plan)
        assert sum("RelationshipIndexSeek" in name for name, _ in operators) == 4
        assert not any("Expand" in name or "Scan" in name for name, _ in operators), (
            "never by expanding the hub"
        )
        details = " ".join(details for _, details in operators)
        assert "(head, age)" in details
        assert "(tail, age)" in details
    hits = {name: (db_hits(before[name]), db_hits(after[name])) for name in before}
    print(f"db hits without and with 100,000 edges of other users: {hits}")
    assert all(without == with_others for without, with_others in hits.values()), hits


FOREIGN_EDGES = """
MATCH (hub:Concept {uri: 'dog'})
UNWIND range($start, $start + $count - 1) AS n
MERGE (leaf:PersonalConcept {key: 'wish ' + toString(n % 100)}) ON CREATE SET leaf.owner = 'foreign'
CREATE (hub)-[:ADDED {owner: 'other ' + toString(n), head: 'dog of ' + toString(n), tail: leaf.key + toString(n),
  triple: 'triple ' + toString(n), age: '1', subject: 'dog', relation: 'Desires', object: leaf.key,
  subject_text: 'dog', object_text: leaf.key, revision: 1, position: 0}]->(leaf)
"""
FORGET_FOREIGN_EDGES = """
MATCH (p:PersonalConcept {owner: 'foreign'}) WITH p LIMIT 10 DETACH DELETE p
"""


async def profiled(connection: Connection) -> dict[str, Any]:
    """The plans, with their costs, of the two statements that a neighborhood takes."""
    who = {"owner": owner_of("ann"), "bucket": erasure_bucket("ann")}
    symmetric = sorted(VOCABULARY.symmetric_names())
    marks = {**who, "key": place_of("ann", "dog"), "before": NEWEST, "symmetric": symmetric}
    base = {**who, "uris": ["dog"], "limit": 64, "triples": asked_rows((CARROTS, MEAT), symmetric)}

    async def work(tx: Any) -> dict[str, Any]:
        return {
            "marks": await plan(tx, cypher.MARKS_AT, marks),
            "base": await plan(tx, cypher.BASE_SLICES, base),
        }

    await connection.read(work)  # the first run plans, and reads what later ones find in caches
    return await connection.read(work)


async def plan(tx: Any, statement: str, parameters: dict[str, Any]) -> Any:
    result = await tx.run("PROFILE " + statement, parameters)
    return (await result.consume()).profile


def operators_of(plan: Any) -> list[tuple[str, str]]:
    own = (plan["operatorType"], str(plan["args"].get("Details", "")))
    return [own, *(o for child in plan.get("children", []) for o in operators_of(child))]


def db_hits(plan: Any) -> int:
    return int(plan["args"].get("DbHits", 0)) + sum(
        db_hits(child) for child in plan.get("children", [])
    )


async def test_people_see_the_overlay_between_the_concepts(
    store: Neo4jStore, connection: Connection
) -> None:
    await add(store, "ann", CARROTS, t("Luna", "IsA", "cat"))
    await remove(store, "ann", MEAT)
    seen = await rows(
        connection,
        "MATCH (s)-[m:ADDED|DELETED]->(o) RETURN labels(s)[0], type(m), o.text ORDER BY o.text",
    )
    assert seen == [
        ["Concept", "ADDED", "carrots"],
        ["PersonalConcept", "ADDED", "cat"],
        ["Concept", "DELETED", "meat"],
    ]
    await remove(store, "ann", CARROTS)
    assert await rows(connection, "MATCH (p:PersonalConcept) RETURN p.uri ORDER BY p.uri") == [
        ["cat"],
        ["luna"],
    ]


async def test_a_relation_outside_the_list_is_a_custom_edge(
    store: Neo4jStore, connection: Connection
) -> None:
    assert await rows(connection, "MATCH ()-[r:CUSTOM]->() RETURN r.relation") == [
        ["is the boss of"]
    ]
    view = await store.neighborhood("ann", Concept.of("ann"), 9)
    assert [v.triple for v in view] == [t("Ann", "is the boss of", "Bob")]
    assert (await store.find("ann", [t("Ann", "is the boss of", "Bob")]))[
        t("Ann", "is the boss of", "Bob")
    ][0]


async def test_concepts_as_long_as_they_may_be_are_kept(store: Neo4jStore) -> None:
    long = t("ﷺ" * 170, "IsA", "ﷺ" * 169 + "x")
    await add(store, "ann", long)
    (viewed,) = await store.neighborhood("ann", long.head, 9)
    assert viewed.triple == long
    assert set(await store.look_up("ann", [long.head.key, long.tail.key])) == {
        long.head.key,
        long.tail.key,
    }


async def test_a_check_finds_what_the_log_does_not_make(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    assert await store.check() == []
    await run(login, "MATCH ()-[m:ADDED]->() SET m.revision = 7")
    assert any(
        "the overlay is not what the log makes" in problem for problem in await store.check()
    )
    await run(login, "MATCH (e:Edit {revision: 1}) DELETE e")
    assert any("the log goes from revision 0 to 2" in problem for problem in await store.check())
    assert (await store.counts())["edits"] == 1


async def test_two_servers_share_a_graph_by_revision(store: Neo4jStore, login: Neo4jLogin) -> None:
    two = await Neo4jStore.open(login, VOCABULARY)
    begun = await two.snapshot("ann")
    await add(store, "ann", CARROTS)
    with pytest.raises(Exception, match="expected revision 0"):
        await two.commit("ann", begun, [edit(1, Change(MEAT, None, added(1)))], None)
    assert (await two.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    await two.close()


async def test_cancelled_calls_leave_no_session_half_used(store: Neo4jStore) -> None:
    await add(store, "ann", CARROTS)
    for _ in range(5):
        calls = [asyncio.ensure_future(store.neighborhood("ann", DOG, 9)) for _ in range(20)]
        calls += [asyncio.ensure_future(add(store, f"user {n}", CARROTS)) for n in range(20)]  # type: ignore[arg-type]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert done
    assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
    for n in range(20):
        edits, overlay = await store.history(f"user {n}"), await store.overlay(f"user {n}")
        assert len(edits) == len(overlay.marks) == overlay.revision, "whole or not at all"


# The base


async def test_the_base_reads_as_in_the_embedded_store(store: Neo4jStore, tmp_path: Path) -> None:
    embedded = SqliteStore(tmp_path, VOCABULARY)
    assert store.base_fingerprint == embedded.base_fingerprint
    for head in ("dog", "cold", "hot", "warm", "Ann", "Bob", "nothing"):
        for limit in (0, 1, 50):
            concept = Concept.of(head)
            assert await store.neighborhood("x", concept, limit) == await embedded.neighborhood(
                "x", concept, limit
            )
        for size in (1, 2, 50):
            assert await paged(store, head, size) == await paged(embedded, head, size)
    keys = ["dog", "cold", "hot", "bob", "nothing"]
    assert await store.look_up("x", keys) == await embedded.look_up("x", keys)
    await embedded.close()


async def paged(store: GraphStore, head: str, size: int) -> list[ViewedTriple]:
    seen: list[ViewedTriple] = []
    cursor = ""
    while True:
        page = await store.page_neighborhood("x", Concept.of(head), Page(size, cursor), 0)
        seen.extend(page.items)
        if not (cursor := page.next_cursor):
            return seen


async def test_while_a_base_is_loaded_nothing_is_answered(
    store: Neo4jStore, login: Neo4jLogin
) -> None:
    begun = await store.snapshot("ann")
    await run(login, "MATCH (g:Graph) SET g.state = 'loading'")
    calls = (
        store.snapshot("ann"), store.neighborhood("ann", DOG, 9), store.look_up("ann", ["dog"]), store.health(),
        store.find("ann", [MEAT]), store.history("ann"), store.personal_facts("ann", Page(9), 0), store.response("ann", "r"),
        store.edits("ann", Page(9), 0), store.page_neighborhood("ann", DOG, Page(9), 0), store.overlay("ann"),
        store.commit("ann", begun, [edit(1, Change(CARROTS, None, added(1)))], None), store.erase("ann"),
    )  # fmt: skip
    results = await asyncio.gather(*calls, return_exceptions=True)
    await run(login, "MATCH (g:Graph) SET g.state = 'ready'")
    assert [type(r) for r in results] == [BaseLoading] * len(calls)
    assert (await store.snapshot("ann")).revision == 0


@pytest.mark.usefixtures("store")
async def test_the_same_base_again_changes_nothing(login: Neo4jLogin, tmp_path: Path) -> None:
    assert (await fill(login, SMALL, VOCABULARY, tmp_path)).unchanged


async def test_another_base_needs_replace_and_overlays_stay(
    store: Neo4jStore, connection: Connection, tmp_path: Path
) -> None:
    await add(store, "ann", CARROTS)
    await remove(store, "ann", MEAT)
    counts = build_base(tmp_path / "other", OTHER, VOCABULARY)
    reader = BaseReader(tmp_path / "other" / BASE_FILE)
    with pytest.raises(StoreUnusable, match="--replace"):
        await load_base(connection, SqliteSource(reader), VOCABULARY)
    await load_base(connection, SqliteSource(reader), VOCABULARY, replace=True)
    reader.close()
    view = await store.neighborhood("ann", DOG, 9)
    assert [v.triple.tail.text for v in view.slice("Desires").triples] == ["carrots", "bones"]
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
    reader = BaseReader(tmp_path / "more" / BASE_FILE)
    source = SqliteSource(reader)
    for failing_at in (0, 17, 23):
        with pytest.raises(OSError, match="the source broke"):
            broken = _BreakingSource(source, failing_at)
            await load_base(connection, broken, VOCABULARY, replace=True, batch=5)
        with pytest.raises(BaseLoading):
            await store.health()
    loaded = await load_base(connection, source, VOCABULARY, batch=5)
    reader.close()
    assert loaded.resumed
    await store.health()
    assert store.base_fingerprint == counts.fingerprint
    view = await store.neighborhood("ann", DOG, 99)
    assert [v.triple.tail.text for v in view.slice("HasA").base] == [
        f"part {n}" for n in reversed(range(50))
    ]
    assert view.count == 50


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 8])
def test_in_a_round_no_two_lanes_share_a_bucket_and_all_pairs_meet_once(lanes: int) -> None:
    found = meetings(lanes)
    pairs = [(m.low, m.high) for m in found]
    assert sorted(pairs) == list(combinations_with_replacement(range(2 * lanes), 2))
    for round in {m.round for m in found}:
        taken = [
            {b for m in found if (m.round, m.lane) == (round, lane) for b in (m.low, m.high)}
            for lane in range(lanes)
        ]
        assert sum(len(buckets) for buckets in taken) == len(set().union(*taken)) == 2 * lanes


class _BreakingSource:
    """A source that cannot be read beyond some edge."""

    lanes = 1

    def __init__(self, source: SqliteSource, failing_at: int) -> None:
        self.counts, self._source, self._failing_at = source.counts, source, failing_at

    def concepts(self, lane: int, start: int) -> Iterator[BaseConcept]:
        return self._source.concepts(lane, start)

    def edges(self, round: int, lane: int, start: int) -> Iterator[RankedEdge]:
        for place, made in enumerate(self._source.edges(round, lane, start), start):
            if place == self._failing_at:
                raise OSError("the source broke")
            yield made


# Starting


@pytest.mark.usefixtures("store")
async def test_a_wrong_password_or_database_or_place_is_said(login: Neo4jLogin) -> None:
    wrong = (
        (replace(login, password="wrong-" + login.password), "KGT_NEO4J_PASSWORD"),
        (replace(login, database="nosuch"), "KGT_NEO4J_DATABASE"),
        (replace(login, url=f"bolt://127.0.0.1:{free_port()}"), "KGT_STORE"),
    )
    for refused_login, complaint in wrong:
        with pytest.raises(StoreUnusable, match=complaint) as refused:
            await Neo4jStore.open(refused_login, VOCABULARY)
        assert login.password not in str(refused.value)


@pytest.mark.usefixtures("store")
async def test_a_newer_schema_is_refused(login: Neo4jLogin) -> None:
    await run(login, "MATCH (g:Graph) SET g.schema_version = 99")
    try:
        with pytest.raises(StoreUnusable, match="schema version 99"):
            await Neo4jStore.open(login, VOCABULARY)
    finally:
        await run(
            login, "MATCH (g:Graph) SET g.schema_version = $version", version=cypher.SCHEMA_VERSION
        )


@pytest.mark.usefixtures("store")
async def test_other_people_s_data_are_refused(login: Neo4jLogin) -> None:
    await run(login, "CREATE (:Stranger)-[:ELSEWHERE]->(:Stranger)")
    try:
        with pytest.raises(StoreUnusable, match="ELSEWHERE"):
            await Neo4jStore.open(login, VOCABULARY)
    finally:
        await run(login, "MATCH (s:Stranger) DETACH DELETE s")
    await (await Neo4jStore.open(login, VOCABULARY)).close()


@pytest.mark.usefixtures("store")
async def test_servers_that_start_together_make_one_schema(login: Neo4jLogin) -> None:
    stores = await asyncio.gather(*(Neo4jStore.open(login, VOCABULARY) for _ in range(4)))
    for opened in stores:
        await opened.close()


async def test_a_store_that_is_gone_is_unreachable_at_once() -> None:
    connection = Connection(Neo4jLogin(f"bolt://127.0.0.1:{free_port()}", "neo4j", "secret"))
    gone = Neo4jStore(connection, Vocabulary.built_in())
    for call in (gone.health(), gone.snapshot("ann"), gone.neighborhood("ann", DOG, 9)):
        with pytest.raises(StoreUnreachable) as failed:
            await call
        assert failed.value.retry_after_s is not None
    await gone.close()


async def rows(connection: Connection, statement: str) -> Sequence[Sequence[Any]]:
    async def work(tx: Any) -> list[list[Any]]:
        return [record.values() async for record in await tx.run(statement)]

    return await connection.read(work)
