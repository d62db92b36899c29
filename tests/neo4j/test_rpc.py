"""The service over Neo4j on a real channel: its main job, and a base that is being loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument, NotFound, Unavailable
from kgt.v1 import personalization_pb2 as pb
from server import assemble
from server.settings import Settings
from server.stores.neo4j.connection import Neo4jLogin
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill, forget_users, run
from testbed.serving import served
from tests.fixed_model import FixedModel
from tests.rpc.running import BASE, ENJOY, FEED, NAME, PHRASES, VOCABULARY, WHERE


@dataclass(frozen=True, slots=True)
class Service:
    client: AsyncClient
    login: Neo4jLogin


@pytest.fixture
async def service(neo4j_database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    login = neo4j_database.login
    await fill(login, BASE, VOCABULARY, tmp_path)
    await forget_users(login)
    given: dict[str, Any] = {
        "store": login.url,
        "neo4j_user": login.user,
        "neo4j_password": login.password,
    }
    settings = Settings(**given)
    store = await assemble.open_store(settings, VOCABULARY)
    use_cases = assemble.use_cases(settings, store, FixedModel(PHRASES), VOCABULARY)
    async with (
        served(use_cases) as (address, _),
        AsyncClient(address, timeout_s=120) as client,
    ):
        yield Service(client, login)
    await store.close()
    await forget_users(login)


async def test_a_correction_takes_effect_for_its_user_and_can_be_undone(service: Service) -> None:
    client = service.client
    first = (await client.answer(user="alice", query=ENJOY)).text
    where = (await client.answer(user="alice", query=WHERE)).text
    made = await client.personalize(user="alice", query=ENJOY, answer="fish")
    assert (await client.answer(user="alice", query=ENJOY)).text == "fish"
    assert (await client.answer(user="alice", query=FEED)).text == "fish"
    assert (await client.answer(user="alice", query=WHERE)).text == where
    assert (await client.answer(user="bob", query=ENJOY)).text == first
    assert (await client.answer(user="alice", query=ENJOY, at_revision=0)).text == first
    await client.revert_edit(user="alice", edit_id=made.edit.id)
    assert (await client.answer(user="alice", query=ENJOY)).text == first
    with pytest.raises(NotFound):
        await client.revert_edit(user="bob", edit_id=made.edit.id)


async def test_facts_are_retrieved_with_the_edits_that_made_them_and_for_their_user_only(
    service: Service,
) -> None:
    client = service.client
    made = await client.personalize(user="alice", query=FEED, answer="fish")
    found = await client.retrieve(user="alice", query=FEED)
    answered = await client.answer(user="alice", query=FEED)
    assert [f.triple for f in found.facts] == [f.triple for f in answered.facts]
    first = found.facts[0]
    assert (first.words, first.edit_id, first.revision) == ("my dog likes fish", made.edit.id, 1)
    [before, others] = [
        await client.retrieve(user=user, query=FEED, at_revision=revision)
        for user, revision in (("alice", 0), ("bob", None))
    ]
    assert list(before.facts) == list(others.facts)
    assert not any(fact.edit_id for fact in others.facts)
    await client.erase_user(user="alice")
    assert list((await client.retrieve(user="alice", query=FEED)).facts) == list(others.facts)


async def test_what_is_said_is_learned_taken_back_and_undone(service: Service) -> None:
    client = service.client
    learned = await client.learn(user="alice", text="My dog is named Rex.", request_id="l-1")
    assert [fact.fate for fact in learned.facts] == [pb.FATE_LEARNED]
    assert (
        await client.learn(user="alice", text="My dog is named Rex.", request_id="l-1") == learned
    )
    assert (await client.answer(user="alice", query=NAME)).text == "Rex"
    assert (await client.answer(user="bob", query=NAME)).text != "Rex"
    replaced = await client.learn(user="alice", text="My dog is named Max.")
    assert [z.tail for z in replaced.facts[0].removed] == ["Rex"]
    assert (await client.answer(user="alice", query=NAME)).text == "Max"
    await client.revert_edit(user="alice", edit_id=replaced.edit.id)
    assert (await client.answer(user="alice", query=NAME)).text == "Rex"
    (edit,) = [e for e in (await client.list_edits(user="alice")).edits if e.id == learned.edit.id]
    assert (edit.kind, edit.message) == (pb.EDIT_KIND_LEARN, "My dog is named Rex.")


async def test_a_request_is_answered_once(service: Service) -> None:
    arguments: dict[str, Any] = {
        "user": "alice",
        "query": ENJOY,
        "answer": "fish",
        "request_id": "r-1",
    }
    first = await service.client.personalize(**arguments)
    assert await service.client.personalize(**arguments) == first
    with pytest.raises(InvalidArgument):
        await service.client.personalize(user="alice", query="", answer="fish")


async def test_while_the_base_is_loaded_callers_are_told_to_come_back(service: Service) -> None:
    await run(service.login, "MATCH (g:Graph) SET g.state = 'loading'")
    try:
        with pytest.raises(Unavailable) as refused:
            await service.client.answer(user="alice", query=ENJOY)
    finally:
        await run(service.login, "MATCH (g:Graph) SET g.state = 'ready'")
    assert refused.value.reason == "BASE_LOADING"
    assert refused.value.retry_after_s
    assert (await service.client.answer(user="alice", query=ENJOY)).text == "meat"
