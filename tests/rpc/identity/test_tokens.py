"""Who may call with which token, for which user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import time
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from kgt.client import AsyncClient
from kgt.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    from_rpc_error,
)
from kgt.v1 import personalization_pb2 as pb
from server.rpc.identity.keys import KeyFile
from server.rpc.identity.tokens import ANY_USER, TokenCallers, TokenRules
from testbed.keys import key_set, replaced
from tests.rpc.identity.matrix import (
    ALICE,
    BOB,
    ISSUER,
    NOBODY,
    REFUSED,
    SERVICES,
    USERS,
    USERS_OWN,
    bearer,
    outcome,
)
from tests.rpc.raw import RPCS, stub_of
from tests.rpc.running import ENJOY, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR_S = 3600
RULES = TokenRules(ISSUER.name, ISSUER.audience, frozenset({"ES256"}), 30.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("identity")
    keys = KeyFile(replaced(folder / "keys.json", key_set(ISSUER)))
    async with running(
        folder,
        callers=TokenCallers(RULES, keys),
        access={"token": ISSUER.token("chat", ANY_USER)},
    ) as started:
        await started.client.edit_facts(user=BOB, add=[("dog", "Desires", "fish")])
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stub(service: Running) -> AsyncIterator[Any]:
    async with stub_of(service) as stub:
        yield stub


@pytest.mark.parametrize("rpc", RPCS)
@pytest.mark.parametrize("name", REFUSED)
async def test_without_a_token_that_counts_no_call_is_made_for_anyone(
    service: Running, stub: Any, name: str, rpc: str
) -> None:
    metadata, reason = REFUSED[name]
    before = [await service.store.snapshot(user) for user in USERS]
    ended = {user: await outcome(stub, rpc, user, metadata) for user in USERS}
    assert {one.reason for one in ended.values()} == {reason}
    assert len(set(ended.values())) == 1, "whoever is named, the caller sees the same"
    assert [await service.store.snapshot(user) for user in USERS] == before


@pytest.mark.parametrize("rpc", RPCS)
@pytest.mark.parametrize("name", USERS_OWN)
async def test_a_user_acts_for_no_other_and_cannot_tell_who_exists(
    service: Running, stub: Any, name: str, rpc: str
) -> None:
    before = [await service.store.snapshot(user) for user in (BOB, NOBODY)]
    ended = {user: await outcome(stub, rpc, user, USERS_OWN[name]) for user in USERS}
    assert ended[ALICE].reason == ""
    assert ended[BOB].reason == "NOT_THIS_USER"
    assert ended[BOB] == ended[NOBODY]
    assert [await service.store.snapshot(user) for user in (BOB, NOBODY)] == before


@pytest.mark.parametrize("rpc", RPCS)
@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_acts_for_every_user(stub: Any, name: str, rpc: str) -> None:
    for user in ("carol", "dave"):
        assert (await outcome(stub, rpc, user, SERVICES[name])).reason == ""


@pytest.mark.parametrize("near", ["Alice", "alice\u0430", "a\u200blice", "\uff41lice"])
async def test_a_name_that_looks_like_the_users_is_not_the_users(
    service: Running, near: str
) -> None:
    async with AsyncClient(service.address, token=ISSUER.token(ALICE)) as alice:
        with pytest.raises((PermissionDenied, InvalidArgument)):
            await alice.list_facts(user=near)
        await alice.list_facts(user=f" {ALICE} ")


async def test_what_one_user_was_given_is_of_no_use_to_another(service: Running) -> None:
    add = [("dog", "Desires", f"toy {n}") for n in range(3)]
    async with (
        AsyncClient(service.address, token=ISSUER.token("ann")) as ann,
        AsyncClient(service.address, token=ISSUER.token("ben")) as ben,
    ):
        made = await ann.edit_facts(user="ann", add=add, request_id="r-1")
        page = await ann.list_facts(user="ann", page_size=1)
        assert page.next_page_token
        with pytest.raises(NotFound) as unknown:
            await ben.list_facts(user="ben", page_token=page.next_page_token)
        with pytest.raises(NotFound) as invented:
            await ben.list_facts(user="ben", page_token="invented")
        assert str(unknown.value) == str(invented.value)
        for edit_id in (made.edit.id, "invented"):
            with pytest.raises(NotFound, match="no edit with this id"):
                await ben.revert_edit(user="ben", edit_id=edit_id)
        other = await ben.edit_facts(user="ben", add=add[:1], request_id="r-1")
        assert len(other.edit.added) == 1, "the same request id, and another's response"
        with pytest.raises(PermissionDenied):
            await ben.edit_facts(user="ann", add=add, request_id="r-1")


async def test_the_models_memory_of_one_user_saves_another_no_pass(service: Running) -> None:
    async with (
        AsyncClient(service.address, token=ISSUER.token("ann")) as ann,
        AsyncClient(service.address, token=ISSUER.token("ben")) as ben,
    ):
        first = await ann.answer(user="ann", query="What does a dog enjoy most?")
        again = await ann.answer(user="ann", query="What does a dog enjoy most?")
        other = await ben.answer(user="ben", query="What does a dog enjoy most?")
    assert again.cost.forward_passes < first.cost.forward_passes
    assert other.cost.forward_passes == first.cost.forward_passes


async def test_a_user_who_is_refused_is_not_told_what_is_wrong_with_the_rest(stub: Any) -> None:
    """Else, a caller could learn from the order of checks what another user has."""
    request = pb.RevertEditRequest(user=BOB, edit_id="", request_id="x" * 1000)
    call = stub.RevertEdit(request, metadata=USERS_OWN["a user"], timeout=10)
    with pytest.raises(Exception, match="may not act for the user"):
        await call


async def test_the_log_says_why_a_token_is_refused_and_not_what_it_holds(
    service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = ISSUER.token(ALICE, aud="other")
    async with AsyncClient(service.address, token=token) as client:
        with pytest.raises(Unauthenticated) as refused:
            await client.answer(user=ALICE, query=ENJOY)
    assert refused.value.reason == "TOKEN_INVALID"
    assert "InvalidAudienceError" in caplog.text
    assert not [part for part in (*token.split("."), ALICE) if part in caplog.text]


# Streams that outlast their token


def expires_after(checks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call's token count for so many of its messages, in either direction, and no longer."""
    counting = iter([True] * checks)
    monkeypatch.setattr(
        "server.rpc.identity.callers.time",
        lambda: time() + (0 if next(counting, False) else 2 * HOUR_S),
    )


async def test_a_stream_ends_when_its_token_expires(
    stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires_after(2, monkeypatch)
    request = pb.StreamAnswerRequest(user=ALICE, query=ENJOY)
    call = stub.StreamAnswer(request, metadata=USERS_OWN["a user"], timeout=20)
    assert (await call.read()).HasField("evidence")
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    assert from_rpc_error(ended.value).reason == "TOKEN_EXPIRED"


async def test_an_import_that_outlasts_its_token_is_not_committed(
    service: Running, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [message.line async for message in service.client.export_overlay(user=BOB)]
    before = await service.store.snapshot("eve")

    async def imported(checks: int) -> None:
        expires_after(checks, monkeypatch)
        call = stub.ImportOverlay(metadata=bearer(ISSUER.token("eve")), timeout=20)
        await call.write(pb.ImportOverlayRequest(user="eve", lines=lines[:1]))
        await call.write(pb.ImportOverlayRequest(lines=lines[1:]))
        await call.done_writing()
        await call

    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await imported(checks=2)
    assert from_rpc_error(ended.value).reason == "TOKEN_EXPIRED"
    assert await service.store.snapshot("eve") == before
    await imported(checks=9)
    assert await service.store.snapshot("eve") != before
