"""The matrix of identities, RPCs and users over a real Neo4j."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server import assemble
from server.rpc.identity.keys import KeyFile
from server.rpc.identity.tokens import TokenCallers, TokenRules
from server.settings import Settings
from server.tuning.ports import GraphStore
from testbed.keys import key_set, replaced
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill, forget_users
from testbed.serving import served
from tests.fixed_model import FixedModel
from tests.rpc.identity.matrix import (
    ALICE,
    BOB,
    ISSUER,
    NOBODY,
    REFUSED,
    SERVICES,
    USERS,
    USERS_OWN,
    outcome,
)
from tests.rpc.raw import RPCS, stub_at
from tests.rpc.running import BASE, PHRASES, VOCABULARY


@pytest.fixture
async def store(neo4j_database: Database, tmp_path: Path) -> AsyncIterator[GraphStore]:
    login = neo4j_database.login
    await fill(login, BASE, VOCABULARY, tmp_path)
    await forget_users(login)
    opened = await assemble.open_store(_settings(neo4j_database), VOCABULARY)
    yield opened
    await opened.close()
    await forget_users(login)


def _settings(database: Database) -> Settings:
    login = database.login
    given: dict[str, Any] = {
        "store": login.url,
        "neo4j_user": login.user,
        "neo4j_password": login.password,
    }
    return Settings(**given)


async def test_the_matrix_is_that_of_the_embedded_store(
    store: GraphStore, neo4j_database: Database, tmp_path: Path
) -> None:
    rules = TokenRules(ISSUER.name, ISSUER.audience, frozenset({"ES256"}), 30.0)
    callers = TokenCallers(rules, KeyFile(replaced(tmp_path / "keys", key_set(ISSUER))))
    model = FixedModel(PHRASES)
    use_cases = assemble.use_cases(_settings(neo4j_database), store, model, VOCABULARY)
    async with served(use_cases, callers=callers) as (address, _), stub_at(address) as stub:
        service = SERVICES["a service"]
        assert (await outcome(stub, "EditFacts", BOB, service)).reason == ""
        before = [await store.snapshot(user) for user in USERS]
        for metadata, reason in REFUSED.values():
            for rpc in RPCS:
                ended = {await outcome(stub, rpc, user, metadata) for user in USERS}
                assert [one.reason for one in ended] == [reason]
        assert [await store.snapshot(user) for user in USERS] == before
        for rpc in RPCS:
            own = USERS_OWN["a user"]
            assert (await outcome(stub, rpc, ALICE, own)).reason == ""
            ended = {await outcome(stub, rpc, user, own) for user in (BOB, NOBODY)}
            assert [one.reason for one in ended] == ["NOT_THIS_USER"]
        assert [await store.snapshot(user) for user in (BOB, NOBODY)] == before[1:]
        for rpc in ("ListFacts", "ListEdits", "ExportOverlay"):
            assert (await outcome(stub, rpc, NOBODY, service)).reason == ""
