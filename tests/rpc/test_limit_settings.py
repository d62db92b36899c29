"""Limits over a real channel: what is refused tells whose limit it is, and what may help."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kgt.client import AsyncClient
from kgt.errors import CallError, InvalidArgument, ResourceExhausted
from server.rpc.identity.callers import Context, Identity
from server.rpc.load import Load
from server.rpc.rates import Rates
from server.settings import Settings, read_settings
from tests.rpc.raw import sent, until
from tests.rpc.running import ENJOY, WHERE, running
from tests.rpc.test_history import exported
from tests.rpc.test_learn import JAZZ, model

CARROTS = [("dog", "likes", "carrots")]
SOFA = [("dog", "likes", "sofas")]


async def refused(call: Awaitable[object]) -> ResourceExhausted:
    with pytest.raises(ResourceExhausted) as failed:
        await call
    return failed.value


# Facts and edits kept


async def test_no_write_gives_a_user_more_facts_than_are_kept(tmp_path: Path) -> None:
    async with running(tmp_path, model(), user_facts=2) as service:
        client = service.client
        await client.edit_facts(user="bob", add=[*CARROTS, *SOFA])
        lines = await exported(client, "bob")
        await client.edit_facts(user="alice", add=[*CARROTS, *SOFA])
        await client.edit_facts(user="alice", remove=SOFA)
        second = (await client.edit_facts(user="alice", remove=[("dog", "likes", "meat")])).edit
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: client.edit_facts(user="alice", add=SOFA),
            lambda: client.learn(user="alice", text=JAZZ),
            lambda: client.personalize(user="alice", query=WHERE, answer="garage"),
            lambda: client.import_overlay(user="alice", lines=lines, merge=True),
        ]
        for write in writes:
            error = await refused(write())
            assert error.reason == "OVERLAY_FULL"
            assert error.quotas == {"user": "user_facts: 2"}
            assert error.metadata == {"quota": "user_facts", "limit": "2"}
            assert error.retry_after_s is None
        assert (await client.list_edits(user="alice")).revision == 3
        assert (await client.learn(user="alice", text=JAZZ, preview=True)).edit.added
        await client.revert_edit(user="alice", edit_id=second.id)
        await client.edit_facts(user="alice", add=SOFA)


async def test_a_revert_that_adds_too_much_is_refused_and_one_that_frees_is_not(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, user_facts=2) as service:
        client = service.client
        added = (await client.edit_facts(user="alice", add=[*CARROTS, *SOFA])).edit
        freed = (await client.edit_facts(user="alice", remove=SOFA)).edit
        other = (await client.edit_facts(user="alice", add=[("cat", "likes", "fish")])).edit
        error = await refused(client.revert_edit(user="alice", edit_id=freed.id))
        assert error.reason == "OVERLAY_FULL"
        await client.revert_edit(user="alice", edit_id=other.id)
        await client.revert_edit(user="alice", edit_id=freed.id)
        await client.revert_edit(user="alice", edit_id=added.id)
        assert list((await client.list_facts(user="alice")).facts) == []


async def test_a_full_history_says_so_and_everything_can_still_be_undone(tmp_path: Path) -> None:
    async with running(tmp_path, user_edits=1) as service:
        client = service.client
        edit = (await client.personalize(user="alice", query=ENJOY, answer="fish")).edit
        error = await refused(client.personalize(user="alice", query=ENJOY, answer="carrots"))
        assert (error.reason, error.quotas) == ("HISTORY_FULL", {"user": "user_edits: 1"})
        await client.revert_edit(user="alice", edit_id=edit.id)
        assert (await client.answer(user="alice", query=ENJOY)).text == "meat"
        await client.personalize(user="bob", query=ENJOY, answer="carrots")


# Calls and texts


async def test_a_user_has_as_many_calls_under_way_as_the_limit(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(user_calls=2)) as service:
        service.model.gate.clear()
        held = [
            asyncio.ensure_future(service.client.answer(user="alice", query=ENJOY))
            for _ in range(2)
        ]
        await until(lambda: len(service.model.gate._waiters) == 2)  # type: ignore[attr-defined]
        error = await refused(service.client.list_facts(user="alice"))
        assert (error.reason, error.quotas) == ("USER_BUSY", {"user": "user_calls: 2"})
        assert error.retry_after_s
        await service.client.list_facts(user="bob")
        service.model.gate.set()
        await asyncio.gather(*held)
        await service.client.list_facts(user="alice")


async def test_a_user_who_calls_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, rates=Rates(user="3/day")) as service:
        client = service.client
        for _ in range(3):
            await client.list_facts(user="alice")
        error = await refused(client.answer(user="alice", query=ENJOY))
        assert (error.reason, error.quotas) == ("RATE_EXCEEDED", {"user": "user_rate: 3 per 1 day"})
        assert error.retry_after_s is not None
        assert 0 < error.retry_after_s <= 86_400
        assert service.model.scored == []
        await client.list_facts(user="bob")


class Chat:
    """Every caller is one service."""

    async def identify(self, context: Context) -> Identity:
        return Identity(name="chat", any_user=True)


async def test_a_service_that_calls_too_often_is_refused_before_its_message_is_read(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, callers=Chat(), rates=Rates(service="2/day")) as service:
        for user in ("alice", "bob"):
            await service.client.list_facts(user=user)
        with pytest.raises(ResourceExhausted) as failed:
            await sent(service, "ListFacts", [b"\xff"])
        assert failed.value.quotas == {"service": "service_rate: 2 per 1 day"}


async def test_longer_texts_than_are_allowed_are_refused_by_their_field(tmp_path: Path) -> None:
    long = "dogs " * 5
    async with running(tmp_path, load=Load(text_bytes=20)) as service:
        client: AsyncClient = service.client
        calls: dict[str, Awaitable[object]] = {
            "query": client.answer(user="alice", query=long),
            "candidates[0]": client.answer(user="alice", query="dog", candidates=[long]),
            "answer": client.personalize(user="alice", query="dog", answer=long),
            "answer_before": client.personalize(
                user="alice", query="dog", answer="fish", answer_before=long
            ),
            "text": client.learn(user="alice", text=long),
            "context": client.learn(user="alice", text="dog", context=long),
        }
        for field, call in calls.items():
            with pytest.raises(InvalidArgument) as failed:
                await call
            assert list(failed.value.fields) == [field]


async def test_a_larger_message_than_is_allowed_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, load=Load(message_bytes=1 << 16)) as service:
        await service.client.learn(user="alice", text="x" * (1 << 13))
        with pytest.raises(CallError) as failed:
            await service.client.answer(user="alice", query="x" * (1 << 16))
        assert isinstance(failed.value, ResourceExhausted)


# From settings


def test_each_setting_is_the_limit_that_it_names() -> None:
    names = {
        "max_message_bytes": "message_bytes",
        "max_text_bytes": "text_bytes",
        "stalled_s": "idle_s",
    }
    values = {
        "calls": 11,
        "user_calls": 12,
        "exports": 13,
        "imports": 14,
        "max_message_bytes": 1 << 17,
        "max_text_bytes": 15,
        "connections": 16,
        "connection_calls": 17,
        "connection_age_s": 18.0,
        "connection_grace_s": 19.0,
        "keepalive_s": 20.0,
        "stalled_s": 21.0,
        "user_exports": 22,
        "user_imports": 23,
    }
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    load = read_settings(flags).load
    assert {name: getattr(load, names.get(name, name)) for name in values} == values
    assert Settings().load == Load()
    quotas = read_settings(["--user-facts=1", "--user-edits=2", "--user-history-bytes=3"]).quotas
    assert (quotas.facts, quotas.edits, quotas.history_bytes) == (1, 2, 3)
