"""Learn over a real channel: what a sentence changes, for whom, and what is told about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import Aborted, AlreadyExists, InvalidArgument
from kgt.v1 import personalization_pb2 as pb
from server.rpc import limits
from server.tuning.templates import learning_prompt
from tests.fixed_model import FixedModel
from tests.rpc.running import PHRASES, Running, running, say, triples

JAZZ = "I like jazz"
ASKED = "What music do I like?"
FORGET = "Forget that I like jazz"
HELLO = "Hello, how are you?"
SHE = "She is nine"
ABOUT_MUSIC = FixedModel({}).key("music")
SAYS = {
    learning_prompt(JAZZ): "+ I | likes | jazz",
    f"{learning_prompt(FORGET)} -": "I | likes | jazz",
    learning_prompt(HELLO): "none",
    learning_prompt(SHE): "+ she | is aged | nine",
}


def model() -> FixedModel:
    return FixedModel(
        {**PHRASES, "I like": "likes", ASKED: "likes"},
        says=SAYS,
        keys=dict.fromkeys((JAZZ, "I likes", "I likes jazz", ASKED), ABOUT_MUSIC),
    )


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, model()) as started:
        yield started


@pytest.fixture
def client(service: Running) -> AsyncClient:
    return service.client


async def test_what_a_user_says_is_learned_for_that_user_and_nobody_else(
    client: AsyncClient,
) -> None:
    r = await client.learn(user="alice", text=JAZZ)
    assert triples(r.edit.added) == [("I", "Desires", "jazz")]
    assert (r.edit.kind, r.edit.revision, r.edit.message) == (pb.EDIT_KIND_LEARN, 1, JAZZ)
    (fact,) = r.facts
    assert (fact.fate, fact.words, fact.source) == (pb.FATE_LEARNED, "I likes jazz", JAZZ)
    assert (fact.query, fact.answer) == ("I likes", "jazz")
    assert 0 < fact.probability_before < fact.probability_after
    assert r.edit.added[0].retrieval_probability_before == 0
    assert r.edit.added[0].retrieval_probability_after > 0.5
    assert r.cost.forward_passes > 0
    assert r.fingerprints.model == "fixed"
    assert await say(client, ASKED) == "jazz"
    assert await say(client, ASKED, "bob") != "jazz"
    assert (await client.list_facts(user="bob")).facts == []


async def test_what_is_taken_back_is_gone_and_undo_brings_it_back(client: AsyncClient) -> None:
    await client.learn(user="alice", text=JAZZ)
    r = await client.learn(user="alice", text=FORGET)
    (fact,) = r.facts
    assert fact.fate == pb.FATE_TAKEN_BACK
    assert not fact.HasField("probability_after")
    assert [(z.head, z.relation, z.tail) for z in fact.removed] == [("I", "Desires", "jazz")]
    assert await say(client, ASKED) != "jazz"
    undone = await client.revert_edit(user="alice", edit_id=r.edit.id)
    assert triples(undone.edit.added) == [("I", "Desires", "jazz")]
    assert await say(client, ASKED) == "jazz"


@pytest.mark.parametrize("text", [HELLO, SHE])
async def test_what_holds_no_fact_commits_nothing(client: AsyncClient, text: str) -> None:
    r = await client.learn(user="alice", text=text)
    assert (r.edit.id, r.edit.revision, list(r.facts)) == ("", 0, [])
    assert [one.doubt for one in r.not_understood] == [pb.DOUBT_PRONOUN] * (text == SHE)
    assert (await client.list_edits(user="alice")).revision == 0


async def test_a_repeated_request_id_gets_the_first_response(service: Running) -> None:
    arguments: dict[str, Any] = {"user": "alice", "text": JAZZ, "request_id": "r-1"}
    first = await service.client.learn(**arguments)
    asked = len(service.model.generated)
    assert await service.client.learn(**arguments) == first
    assert len(service.model.generated) == asked
    with pytest.raises(AlreadyExists):
        await service.client.learn(**arguments | {"text": HELLO})


async def test_expected_revision_is_a_condition(client: AsyncClient) -> None:
    with pytest.raises(Aborted):
        await client.learn(user="alice", text=JAZZ, expected_revision=1)
    assert (await client.learn(user="alice", text=JAZZ, expected_revision=0)).edit.revision == 1


async def test_a_preview_tells_the_same_and_commits_nothing(client: AsyncClient) -> None:
    preview = await client.learn(user="alice", text=JAZZ, preview=True, request_id="r")
    assert (preview.preview, preview.edit.id) == (True, "")
    assert (await client.list_edits(user="alice")).revision == 0
    real = await client.learn(user="alice", text=JAZZ, request_id="r")
    for response in (preview, real):
        response.ClearField("cost")
        response.edit.ClearField("id")
        response.edit.ClearField("create_time")
        response.ClearField("preview")
    assert preview == real


async def test_what_was_learned_leaves_with_an_export_and_comes_back(client: AsyncClient) -> None:
    await client.learn(user="alice", text=JAZZ)
    lines = [message.line async for message in client.export_overlay(user="alice")]
    await client.import_overlay(user="carol", lines=lines)
    assert await say(client, ASKED, "carol") == "jazz"
    (edit,) = (await client.list_edits(user="carol")).edits
    assert (edit.kind, edit.message) == (pb.EDIT_KIND_LEARN, JAZZ)
    again = [message.line async for message in client.export_overlay(user="carol")]
    assert again == lines


async def test_what_was_learned_is_erased_with_the_user(service: Running) -> None:
    await service.client.learn(user="alice", text=JAZZ, request_id="r")
    await service.client.erase_user(user="alice")
    assert await say(service.client, ASKED) != "jazz"
    assert (await service.client.learn(user="alice", text=JAZZ, request_id="r")).edit.revision == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": ""}, "user"),
        ({"text": " "}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "x" * (limits.MAX_MESSAGE_TEXT_BYTES + 1)}, "text"),
        ({"context": "x" * (limits.MAX_MESSAGE_TEXT_BYTES + 1)}, "context"),
        ({"text": "word " * 500}, "text"),
        ({"request_id": "r" * 65}, "request_id"),
        ({"expected_revision": -1}, "expected_revision"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    client: AsyncClient, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await client.learn(**{"user": "alice", "text": JAZZ} | arguments)
    assert list(refused.value.fields) == [field]
    assert (await client.list_edits(user="alice")).revision == 0
