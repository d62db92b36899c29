"""Erasing over the wire: nothing is left, and a repetition removes nothing more."""

from __future__ import annotations

import pytest

from kgt.client import AsyncClient
from kgt.errors import Unavailable
from server import errors
from tests.rpc.running import ENJOY, Running


async def test_erasing_a_user_leaves_nothing(service: Running) -> None:
    client = service.client
    await client.personalize(user="alice", query=ENJOY, answer="caviar", request_id="r")
    await client.personalize(user="bob", query=ENJOY, answer="fish")
    r = await client.erase_user(user="alice")
    assert (
        r.edits,
        r.added_triples,
        r.removed_triples,
        r.personal_concepts,
        r.stored_responses,
    ) == (1, 1, 1, 1, 1)
    assert (await client.answer(user="alice", query=ENJOY)).text == "meat"
    assert list((await client.list_edits(user="alice")).edits) == []
    assert (await client.answer(user="bob", query=ENJOY)).text == "fish"
    files = [p for p in service.store.folder.rglob("*") if p.is_file() and "overlays" in p.name]
    assert files
    for path in files:
        data = path.read_bytes()
        assert b"caviar" not in data, path.name
        assert b"alice" not in data, path.name
    assert any(b"fish" in p.read_bytes() for p in files)


async def test_a_repeated_erase_removes_nothing_of_what_came_after_it(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="caviar")
    first = await client.erase_user(user="alice", request_id="r")
    await client.edit_facts(user="alice", add=[("dog", "is named", "Rex")])
    assert await client.erase_user(user="alice", request_id="r") == first
    assert [f.triple.tail for f in (await client.list_facts(user="alice")).facts] == ["Rex"]
    assert (await client.erase_user(user="alice", request_id="s")).edits == 1


async def test_an_erase_that_fails_forgets_what_the_model_said_all_the_same(
    service: Running,
) -> None:
    async def failing(*_: object) -> None:
        raise errors.StoreBusy("later", 0.01)

    await service.client.answer(user="alice", query=ENJOY)
    asked = len(service.model.scored)
    service.store.erase = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(Unavailable):
        await service.client.erase_user(user="alice")
    await service.client.answer(user="alice", query=ENJOY)
    assert len(service.model.scored) > asked


async def test_erasing_forgets_what_the_model_said(service: Running) -> None:
    await service.client.answer(user="alice", query=ENJOY)
    asked = len(service.model.scored)
    await service.client.answer(user="alice", query=ENJOY)
    assert len(service.model.scored) == asked
    await service.client.erase_user(user="alice")
    await service.client.answer(user="alice", query=ENJOY)
    assert len(service.model.scored) > asked
