"""A real server over a real Neo4j, of which either is killed or stopped.

Nothing acknowledged is lost, and nothing is half done.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kgt.addresses import for_client
from kgt.client import AsyncClient, Client
from kgt.errors import Aborted, CallError, Unavailable
from server.graph.relation import Vocabulary
from server.health import SERVING, status_of
from server.stores.neo4j.connection import Neo4jLogin
from server.stores.neo4j.store import Neo4jStore
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill, forget_users
from testbed.processes import ServerProcess, server_process, until
from tests.rpc.running import BASE, ENJOY, WHERE

pytestmark = pytest.mark.story

FIXED = "tests.rpc.fixed_server"
VOCABULARY = Vocabulary.built_in()
Serve = Callable[[], contextlib.AbstractContextManager[ServerProcess]]


@pytest.fixture
async def login(neo4j_database: Database, tmp_path: Path) -> AsyncIterator[Neo4jLogin]:
    await fill(neo4j_database.login, BASE, VOCABULARY, tmp_path / "base")
    await forget_users(neo4j_database.login)
    yield neo4j_database.login
    await forget_users(neo4j_database.login)


@pytest.fixture
def serve(login: Neo4jLogin, tmp_path: Path) -> Serve:
    environment = {
        "KGT_STORE": login.url,
        "KGT_NEO4J_USER": login.user,
        "KGT_NEO4J_PASSWORD": login.password,
    }
    return lambda: server_process(FIXED, tmp_path, env=environment)


def twins(n: int) -> list[tuple[str, str, str]]:
    """Two triples that an edit adds together: one without the other would be half an edit."""
    return [("dog", "has a", f"left {n}"), ("dog", "has a", f"right {n}")]


def tails_of(n: int) -> list[str]:
    return [tail for _, _, tail in twins(n)]


async def revision_of(login: Neo4jLogin, user: str) -> int:
    """The user's revision, once the graph is what the log makes and each edit is whole."""
    store = await Neo4jStore.open(login, VOCABULARY)
    try:
        assert await store.check() == []
        overlay = await store.overlay(user)
        assert len(overlay.marks) == 2 * overlay.revision, "each edit is there whole or not at all"
        return overlay.revision
    finally:
        await store.close()


async def test_the_service_killed_during_200_commits(login: Neo4jLogin, serve: Serve) -> None:
    rng = random.Random(7)
    acknowledged, kills = 0, 0
    while acknowledged < 200:
        with serve() as server:
            acknowledged = await asyncio.to_thread(write_until_killed, server, acknowledged, rng)
        kills += 1
        revision = await revision_of(login, "alice")
        assert revision in (acknowledged, acknowledged + 1)
        acknowledged = revision
    assert kills >= 8


def write_until_killed(server: ServerProcess, acknowledged: int, rng: random.Random) -> int:
    """Write as fast as possible, until the server is killed at any point of a commit.

    Returns what was acknowledged.
    """
    killer = threading.Timer(rng.uniform(0.0, 0.03), server.process.kill)
    fatal = acknowledged + rng.randrange(1, 25)
    try:
        with Client(server.address, timeout_s=5) as client:
            while True:
                made = client.edit_facts(user="alice", add=twins(acknowledged + 1))
                acknowledged = made.edit.revision
                if acknowledged == fatal:
                    killer.start()
    except CallError:
        killer.join()
    server.kill()
    return acknowledged


async def test_neo4j_killed_during_50_commits(
    login: Neo4jLogin, serve: Serve, neo4j_database: Database
) -> None:
    rng = random.Random(11)
    acknowledged = 0
    with serve() as server:
        with Client(server.address, timeout_s=60) as client:
            for fatal in (9, 24, 41):
                delay_s = rng.uniform(0.0, 0.03)
                acknowledged, in_doubt = await asyncio.to_thread(
                    write_until_neo4j_is_gone, client, acknowledged, fatal, neo4j_database, delay_s
                )
                await asyncio.to_thread(neo4j_database.start)
                assert await revision_of(login, "alice") in (acknowledged, acknowledged + 1)
                # The same request again is answered once, whether it had been made or not.
                acknowledged += 1
                revision = await asyncio.to_thread(recovered, client, acknowledged, in_doubt)
                assert revision == acknowledged
            while acknowledged < 50:
                acknowledged = await asyncio.to_thread(
                    write, client, acknowledged + 1, uuid.uuid4().hex
                )
        assert server.process.poll() is None, "the service was not restarted"
    assert await revision_of(login, "alice") == acknowledged


def write_until_neo4j_is_gone(
    client: Client, acknowledged: int, fatal: int, database: Database, delay_s: float
) -> tuple[int, str]:
    """Write until Neo4j is killed, soon after revision `fatal`.

    Returns (what was acknowledged, the request id that failed).
    """
    killer = threading.Timer(delay_s, database.kill)
    while True:
        request_id = uuid.uuid4().hex
        try:
            acknowledged = write(client, acknowledged + 1, request_id)
        except Unavailable:
            killer.join()
            return acknowledged, request_id
        if acknowledged == fatal:
            killer.start()


def write(client: Client, n: int, request_id: str) -> int:
    """Make one edit, and return its revision."""
    return client.edit_facts(user="alice", add=twins(n), request_id=request_id).edit.revision


def recovered(client: Client, n: int, request_id: str) -> int:
    """Do the same, although the service is Unavailable for a while.

    The client itself waits between its tries.
    """
    for _ in range(60):
        try:
            return write(client, n, request_id)
        except Unavailable:
            continue
    raise AssertionError("the service did not recover")


async def test_16_writers_to_one_user_over_two_servers_lose_nothing(
    login: Neo4jLogin, serve: Serve
) -> None:
    edits_each = 3
    with serve() as one, serve() as two:
        async with (
            AsyncClient(one.address, timeout_s=120) as first,
            AsyncClient(two.address, timeout_s=120) as second,
        ):

            async def writer(number: int) -> None:
                client = (first, second)[number % 2]
                made = 0
                while made < edits_each:
                    try:
                        await client.edit_facts(user="alice", add=twins(number * 100 + made))
                    except Aborted:
                        continue
                    made += 1

            await asyncio.gather(*(writer(n) for n in range(16)))
    assert await revision_of(login, "alice") == 16 * edits_each
    store = await Neo4jStore.open(login, VOCABULARY)
    tails = {t.tail.text for t in (await store.overlay("alice")).marks}
    await store.close()
    expected = {tail for n in range(16) for made in range(3) for tail in tails_of(n * 100 + made)}
    assert tails == expected


async def test_64_users_at_once_each_get_their_own(login: Neo4jLogin, serve: Serve) -> None:
    with serve() as server:
        async with AsyncClient(server.address, timeout_s=120) as client:

            async def user(number: int) -> None:
                for made in range(3):
                    await client.edit_facts(user=f"user {number}", add=twins(number * 100 + made))

            await asyncio.gather(*(user(n) for n in range(64)))
    store = await Neo4jStore.open(login, VOCABULARY)
    assert await store.check() == []
    for n in range(64):
        overlay = await store.overlay(f"user {n}")
        expected = {tail for made in range(3) for tail in tails_of(n * 100 + made)}
        assert (overlay.revision, {t.tail.text for t in overlay.marks}) == (3, expected)
    await store.close()


async def test_neo4j_stopped_and_started_under_load(
    login: Neo4jLogin, serve: Serve, neo4j_database: Database
) -> None:
    with serve() as server:
        async with AsyncClient(server.address, timeout_s=20) as client:
            ended = asyncio.Event()
            failures: list[CallError] = []
            acknowledged = [0] * 8

            async def load(number: int) -> None:
                while not ended.is_set():
                    n = acknowledged[number] + 1
                    request_id = uuid.uuid4().hex
                    while not ended.is_set():
                        try:
                            await client.answer(user=f"user {number}", query=WHERE)
                            await client.edit_facts(
                                user=f"user {number}", add=twins(n), request_id=request_id
                            )
                        except CallError as error:
                            failures.append(error)
                        else:
                            acknowledged[number] = n
                            break

            loads = [asyncio.ensure_future(load(n)) for n in range(len(acknowledged))]
            await asyncio.to_thread(until, lambda: min(acknowledged) >= 2, "the load to begin")
            await asyncio.to_thread(neo4j_database.stop)
            await asyncio.to_thread(
                until, lambda: not serving(server), "health to turn NOT_SERVING"
            )
            at_stop = len(failures)
            await asyncio.to_thread(until, lambda: len(failures) >= at_stop + 8, "calls to fail")
            while_down = failures[:]
            await asyncio.to_thread(neo4j_database.start)
            await asyncio.to_thread(until, lambda: serving(server), "health to turn SERVING again")
            before = list(acknowledged)
            await asyncio.to_thread(
                until,
                lambda: all(a > b + 1 for a, b in zip(acknowledged, before, strict=True)),
                "all to recover",
            )
            ended.set()
            await asyncio.gather(*loads)
            assert (await client.answer(user="bob", query=ENJOY)).text == "meat"
        assert server.process.poll() is None, "the service was not restarted"
    assert {type(f).__name__ for f in while_down} == {"Unavailable"}, (
        "fast, and none of them at its deadline"
    )
    assert {type(f).__name__ for f in failures} <= {"Unavailable", "DeadlineExceeded"}, (
        "a Neo4j that starts is slow"
    )
    assert all(f.retry_after_s for f in failures if f.reason)
    for number, count in enumerate(acknowledged):
        assert await revision_of(login, f"user {number}") in (count, count + 1)


def serving(server: ServerProcess) -> bool:
    return status_of(for_client(server.address)) == SERVING
