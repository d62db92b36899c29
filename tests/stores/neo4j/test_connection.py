"""Logins, shares of the connections, and a Neo4j that does not answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from server.errors import InvalidSetting, StoreUnreachable, StoreUnusable
from server.graph.relation import Vocabulary
from server.settings import read_settings
from server.stores.neo4j.connection import (
    CONNECTIONS,
    CONNECTIONS_A_USER,
    Connection,
    Neo4jLogin,
    checked_login,
)
from server.stores.neo4j.shares import Shares
from server.stores.neo4j.store import Neo4jStore
from testbed.processes import free_port
from tests.conformance.graph_store import DOG, VOCABULARY


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


async def test_a_store_that_is_gone_is_unreachable_at_once() -> None:
    connection = Connection(Neo4jLogin(f"bolt://127.0.0.1:{free_port()}", "neo4j", "secret"))
    gone = Neo4jStore(connection, Vocabulary.built_in())
    for call in (gone.health(), gone.snapshot("ann"), gone.neighborhood("ann", DOG, 9)):
        with pytest.raises(StoreUnreachable) as failed:
            await call
        assert failed.value.retry_after_s is not None
    await gone.close()


async def test_one_user_takes_at_most_half_of_the_connections() -> None:
    assert CONNECTIONS_A_USER * 2 <= CONNECTIONS
    shares = Shares(2)
    inside, release = 0, asyncio.Event()

    async def read(user: str) -> None:
        nonlocal inside
        async with shares.of(user):
            inside += 1
            await release.wait()

    readers = [asyncio.ensure_future(read("ann")) for _ in range(9)]
    await asyncio.wait(readers, timeout=0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert inside == 2
    other = asyncio.ensure_future(read("bob"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert inside == 3
    readers[8].cancel()
    release.set()
    await asyncio.gather(other, *readers, return_exceptions=True)
    assert inside == 9
    assert shares._gates == {}, "nobody is remembered"
