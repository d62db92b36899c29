"""Writes that are sent again, or that somebody else's write overtakes."""

from __future__ import annotations

from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import Aborted, AlreadyExists
from kgt.v1 import personalization_pb2 as pb
from server.graph.edit import Change
from tests.conformance.graph_store import added, edit, t
from tests.rpc.running import ENJOY, Running, say


async def test_a_repeated_request_id_gets_the_first_response(service: Running) -> None:
    arguments: dict[str, Any] = {
        "user": "alice",
        "query": ENJOY,
        "answer": "vegetables",
        "request_id": "r-1",
    }
    first = await service.client.personalize(**arguments)
    asked = len(service.model.generated)
    assert await service.client.personalize(**arguments) == first
    assert len(service.model.generated) == asked
    with pytest.raises(AlreadyExists) as reused:
        await service.client.personalize(**arguments | {"answer": "fish"})
    assert reused.value.reason == "REQUEST_ID_REUSED"
    assert (await service.client.list_edits(user="alice")).revision == 1


async def test_expected_revision_is_a_condition(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="vegetables", expected_revision=0)
    with pytest.raises(Aborted) as moved:
        await client.personalize(user="alice", query=ENJOY, answer="fish", expected_revision=0)
    assert moved.value.metadata == {"expected_revision": "0", "revision": "1"}
    assert await say(client, ENJOY) == "vegetables"


async def test_a_lost_race_is_computed_anew_once(service: Running) -> None:
    store, real = service.store, service.store.commit
    rivals = 0

    async def racing(user: str, snapshot: object, edits: object, request: object) -> None:
        nonlocal rivals
        if rivals == 0:
            rivals += 1
            with_other = await store.snapshot(user)
            # another process writes first

            await real(
                user, with_other, [edit(1, Change(t("dog", "HasA", "hat"), None, added(1)))], None
            )
        await real(user, snapshot, edits, request)  # type: ignore[arg-type]

    store.commit = racing  # type: ignore[method-assign, assignment]
    r = await service.client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert r.edit.revision == 2
    assert await say(service.client, ENJOY) == "vegetables"


async def test_edits_are_idempotent_by_request_id(client: AsyncClient) -> None:
    first = await client.edit_facts(user="alice", add=[("a", "likes", "b")], request_id="r")
    assert await client.edit_facts(user="alice", add=[("a", "likes", "b")], request_id="r") == first
    with pytest.raises(AlreadyExists):
        await client.edit_facts(user="alice", add=[("a", "likes", "c")], request_id="r")
    await client.edit_facts(user="bob", add=[("a", "likes", "c")], request_id="r")


async def test_a_repeated_request_that_changed_nothing_changes_nothing_later(
    client: AsyncClient,
) -> None:
    carrots = [("dog", "likes", "carrots")]
    added = (await client.edit_facts(user="alice", add=carrots)).edit
    nothing = await client.edit_facts(user="alice", add=carrots, request_id="nothing")
    await client.edit_facts(user="alice", remove=carrots)
    assert await client.edit_facts(user="alice", add=carrots, request_id="nothing") == nothing
    with pytest.raises(AlreadyExists):
        await client.edit_facts(user="alice", remove=carrots, request_id="nothing")
    with pytest.raises(AlreadyExists):
        await client.revert_edit(user="alice", edit_id=added.id, request_id="nothing")
    assert (await client.list_edits(user="alice")).revision == 2


async def test_a_repeated_revert_of_a_reverted_edit_does_not_undo_a_redo(
    client: AsyncClient,
) -> None:
    edit = (await client.edit_facts(user="alice", add=[("dog", "likes", "carrots")])).edit
    undo = (await client.revert_edit(user="alice", edit_id=edit.id)).edit
    again = await client.revert_edit(user="alice", edit_id=edit.id, request_id="again")
    assert again.edit == undo
    await client.revert_edit(user="alice", edit_id=undo.id)
    assert await client.revert_edit(user="alice", edit_id=edit.id, request_id="again") == again
    assert (await client.list_edits(user="alice")).revision == 3


async def test_a_repeated_correction_that_was_there_already_asks_nothing_again(
    service: Running,
) -> None:
    arguments: dict[str, Any] = {
        "user": "alice",
        "query": ENJOY,
        "answer": "meat",
        "request_id": "r",
    }
    first = await service.client.personalize(**arguments)
    assert first.stop_reason == pb.STOP_REASON_ALREADY_CORRECT
    await service.client.edit_facts(user="alice", remove=[("dog", "likes", "meat")])
    assert await service.client.personalize(**arguments) == first
    with pytest.raises(AlreadyExists):
        await service.client.personalize(**{**arguments, "answer": "fish"})


async def test_a_preview_keeps_no_response(client: AsyncClient) -> None:
    arguments: dict[str, Any] = {
        "user": "alice",
        "query": ENJOY,
        "answer": "fish",
        "request_id": "r",
    }
    await client.personalize(**arguments, preview=True)
    assert (await client.personalize(**arguments)).edit.revision == 1
