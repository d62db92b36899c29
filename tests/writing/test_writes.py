"""How writes are answered: once each, also where they changed nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from server.errors import RequestIdReused, RevisionMoved
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.rpc.errors import ResponseTooLarge
from server.stores.sqlite.store import SqliteStore
from server.tuning.history import EditFactsCommand, EditFactsOutcome, Historian
from server.tuning.ports import Snapshot
from server.writing.turns import UserTurns
from server.writing.writes import Kept, RequestKey, Writes
from tests.writing.proposals import Nothing, nothing

VOCABULARY = Vocabulary.built_in()
CARROTS = Triple.of("dog", "Desires", "carrots")


def kept(request_id: str, content: str) -> Kept[str]:
    return Kept(RequestKey(request_id, content), str.encode, bytes.decode)


def told(outcome: EditFactsOutcome) -> str:
    return f"{outcome.edit.revision} {outcome.edit.id}"


def silence(_: Nothing) -> str:
    return "nothing"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path, VOCABULARY)
    yield store
    await store.close()


async def test_a_response_without_an_edit_is_kept(store: SqliteStore) -> None:
    historian, writes = Historian(store), Writes(store, UserTurns())
    again = kept("r", "content")

    async def write(add: Sequence[Triple], remove: Sequence[Triple], kept: Kept[str] | None) -> str:
        command = EditFactsCommand.of("alice", VOCABULARY, add, remove)
        return await writes.respond(
            "alice", lambda snapshot: historian.propose_edit(command, snapshot), told, kept
        )

    await write([CARROTS], [], None)
    nothing = await write([CARROTS], [], again)
    await write([], [CARROTS], None)
    assert await write([CARROTS], [], again) == nothing == "1 "
    assert (await store.snapshot("alice")).revision == 2, "the repetition adds nothing"
    with pytest.raises(RequestIdReused):
        await write([], [CARROTS], kept("r", "other content"))


async def test_a_response_without_an_edit_makes_no_overlay(store: SqliteStore) -> None:
    writes = Writes(store, UserTurns())
    before = await store.snapshot("alice")
    assert await writes.respond("alice", nothing, silence, kept("r", "c")) == "nothing"
    assert await store.snapshot("alice") == before
    with pytest.raises(RequestIdReused):
        await writes.respond("alice", nothing, silence, kept("r", "d"))


async def test_a_fresh_response_is_returned_as_it_was_made_and_a_repeated_one_is_read(
    store: SqliteStore,
) -> None:
    made = object()
    writes = Writes(store, UserTurns())
    kept: Kept[object] = Kept(RequestKey("r", "c"), lambda _: b"kept", bytes.decode)
    assert await writes.respond("alice", nothing, lambda _: made, kept) is made
    assert await writes.respond("alice", nothing, lambda _: made, kept) == "kept"


async def test_what_cannot_be_answered_is_not_committed(store: SqliteStore) -> None:
    def refuse(_: EditFactsOutcome) -> str:
        raise ResponseTooLarge("add", 2, 1)

    historian, command = Historian(store), EditFactsCommand.of("alice", VOCABULARY, [CARROTS])
    with pytest.raises(ResponseTooLarge):
        await Writes(store, UserTurns()).respond(
            "alice",
            lambda snapshot: historian.propose_edit(command, snapshot),
            refuse,
            kept("r", "c"),
        )
    assert (await store.snapshot("alice")).revision == 0
    assert await store.response("alice", "r") is None


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("expected", [None, 0])
async def test_a_lost_race_is_computed_once_more_unless_a_revision_was_expected(
    store: SqliteStore, lost: int, expected: int | None
) -> None:
    historian = Historian(store)
    begun: list[int] = []

    async def overtaken(snapshot: Snapshot) -> EditFactsOutcome:
        begun.append(snapshot.revision)
        command = EditFactsCommand.of("alice", VOCABULARY, [CARROTS])
        outcome = await historian.propose_edit(command, snapshot)
        if len(begun) <= lost:  # another process commits meanwhile
            other = EditFactsCommand.of("alice", VOCABULARY, [Triple.of("dog", "IsA", f"{begun}")])
            await Writes(store, UserTurns()).run(
                "alice", lambda snapshot: historian.propose_edit(other, snapshot)
            )
        return outcome

    writing = Writes(store, UserTurns()).run("alice", overtaken, expected_revision=expected)
    if expected is None and lost == 1:
        assert (await writing).edit.revision == 2
        assert begun == [0, 1]
    else:
        with pytest.raises(RevisionMoved):
            await writing
        assert begun == ([0, 1] if expected is None else [0])
