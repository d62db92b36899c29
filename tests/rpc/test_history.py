"""A user's history over the wire: direct edits, undoing, exports and imports."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound
from kgt.v1 import personalization_pb2 as pb
from server.stores.sqlite.check import OVERLAYS_FILE
from tests.conformance.graph_store import BROKEN_BODY
from tests.rpc.running import ENJOY, Running


def names(triples: object) -> list[str]:
    return [t.triple.tail for t in triples]  # type: ignore[attr-defined]


# Direct edits


async def test_facts_are_edited_in_the_same_history(client: AsyncClient) -> None:
    r = await client.edit_facts(
        user="alice", add=[("dog", "likes", "carrots")], remove=[("dog", "likes", "meat")]
    )
    assert names(r.edit.added) == ["carrots"]
    assert names(r.edit.removed) == ["meat"]
    assert (r.edit.revision, r.edit.kind) == (1, pb.EDIT_KIND_FACTS)
    assert (await client.answer(user="alice", query=ENJOY)).text == "carrots"


async def test_an_edit_that_changes_nothing_is_none(client: AsyncClient) -> None:
    await client.edit_facts(user="alice", add=[("dog", "likes", "carrots")])
    again = await client.edit_facts(
        user="alice",
        add=[("DOG", "Desires", "Carrots")],
        remove=[("dog", "likes", "never heard of")],
    )
    assert (again.edit.id, again.edit.revision) == ("", 1)
    assert (await client.list_edits(user="alice")).revision == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "add"),
        ({"add": [("a", "b", "c")] * 501}, "add"),
        ({"add": [("", "likes", "b")]}, "add[0].head"),
        ({"add": [("a", "likes", "b"), ("a", " ", "b")]}, "add[1].relation"),
        ({"remove": [("a", "likes", "x" * 513)]}, "remove[0].tail"),
        ({"add": [("a", "likes", "b")], "remove": [("A", "Desires", "B")]}, "remove"),
    ],
)
async def test_a_triple_that_cannot_be_is_named(
    client: AsyncClient, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await client.edit_facts(user="alice", **arguments)
    assert list(refused.value.fields) == [field]


# Undo


async def test_a_revert_undoes_and_twice_is_the_first(client: AsyncClient) -> None:
    edit = (await client.personalize(user="alice", query=ENJOY, answer="fish")).edit
    first = await client.revert_edit(user="alice", edit_id=edit.id)
    assert first.edit.reverted_edit_id == edit.id
    assert names(first.edit.added) == ["meat"]
    assert names(first.edit.removed) == ["fish"]
    assert (await client.answer(user="alice", query=ENJOY)).text == "meat"
    assert (await client.revert_edit(user="alice", edit_id=edit.id)).edit == first.edit
    assert list((await client.list_facts(user="alice")).facts) == []


async def test_what_later_edits_rely_on_is_named(client: AsyncClient) -> None:
    first = (await client.personalize(user="alice", query=ENJOY, answer="vegetables")).edit
    second = (await client.personalize(user="alice", query=ENJOY, answer="fish")).edit
    with pytest.raises(FailedPrecondition) as blocked:
        await client.revert_edit(user="alice", edit_id=first.id)
    assert blocked.value.reason == "REVERT_BLOCKED"
    assert blocked.value.metadata["edit_ids"] == second.id
    skipped = await client.revert_edit(user="alice", edit_id=first.id, skip_conflicts=True)
    assert [(s.triple.tail, list(s.edit_ids)) for s in skipped.skipped] == [
        ("vegetables", [second.id])
    ]
    assert names(skipped.edit.added) == ["meat"]


async def test_of_many_edits_that_rely_on_one_the_first_are_named(client: AsyncClient) -> None:
    carrots = [("dog", "likes", "carrots")]
    first = (await client.edit_facts(user="alice", add=carrots)).edit
    later = []
    for _ in range(75):
        later.append((await client.edit_facts(user="alice", remove=carrots)).edit.id)
        later.append((await client.edit_facts(user="alice", add=carrots)).edit.id)
    with pytest.raises(FailedPrecondition) as blocked:
        await client.revert_edit(user="alice", edit_id=first.id)
    assert blocked.value.metadata["edit_ids"].split(",") == later[:20]
    assert blocked.value.metadata["edits"] == "150"
    assert "and 130 more" in str(blocked.value)


async def test_another_users_edit_is_not_found(client: AsyncClient) -> None:
    edit = (await client.personalize(user="alice", query=ENJOY, answer="fish")).edit
    for user, edit_id in (("bob", edit.id), ("alice", "nope")):
        with pytest.raises(NotFound) as unknown:
            await client.revert_edit(user=user, edit_id=edit_id)
        assert unknown.value.reason == "UNKNOWN_EDIT"


# Out, in, and away


async def exported(client: AsyncClient, user: str) -> list[str]:
    return [message.line async for message in client.export_overlay(user=user)]


async def test_an_export_is_header_edits_and_footer(client: AsyncClient) -> None:
    edit = (await client.personalize(user="alice", query=ENJOY, answer="fish")).edit
    header, body, footer = (json.loads(line) for line in await exported(client, "alice"))
    assert (header["format"], header["version"], header["revision"]) == ("kgt-overlay", 1, 1)
    assert header["fingerprints"]["model"] == "fixed"
    assert body["id"] == edit.id
    assert footer["edits"] == 1
    assert len(footer["sha256"]) == 64


async def test_an_import_brings_answers_and_history(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    second = (await client.personalize(user="alice", query=ENJOY, answer="fish")).edit
    lines = await exported(client, "alice")
    r = await client.import_overlay(
        user="carol", lines=[f"{line}\n" for line in lines], request_id="r"
    )
    assert (r.imported_edits, r.revision) == (2, 2)
    assert await client.import_overlay(user="carol", lines=lines, request_id="r") == r
    assert (await client.answer(user="carol", query=ENJOY)).text == "fish"
    assert (await client.answer(user="carol", query=ENJOY, at_revision=1)).text == "vegetables"
    assert (await client.list_edits(user="carol")).edits[0].id == second.id
    with pytest.raises(FailedPrecondition) as used:
        await client.import_overlay(user="carol", lines=lines)
    assert used.value.reason == "OVERLAY_NOT_EMPTY"


async def test_a_merge_is_one_net_edit(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    await client.personalize(user="alice", query=ENJOY, answer="fish")
    await client.edit_facts(user="bob", add=[("dog", "is named", "Rex")])
    r = await client.import_overlay(user="bob", lines=await exported(client, "alice"), merge=True)
    assert (r.imported_edits, r.revision, r.edit.kind) == (2, 2, pb.EDIT_KIND_IMPORT)
    assert names(r.edit.added) == ["fish"]
    assert names(r.edit.removed) == ["meat"]
    assert (await client.answer(user="bob", query=ENJOY)).text == "fish"


async def test_an_export_that_was_touched_is_refused_whole(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    await client.personalize(user="alice", query=ENJOY, answer="fish")
    lines = await exported(client, "alice")
    header, first, second, footer = lines
    broken = {
        "no footer": lines[:-1],
        "no header": lines[1:],
        "one line less": [header, first, footer],
        "one line twice": [header, first, first, second, footer],
        "another order": [header, second, first, footer],
        "a changed text": [header, first.replace("vegetables", "caviar"), second, footer],
        "another format": [header.replace("kgt-overlay", "csv"), first, second, footer],
        "a newer version": [header.replace('"version": 1', '"version": 2'), first, second, footer],
        "not JSON": [header, first[:-5], second, footer],
        "nothing": [],
    }
    for what, sent in broken.items():
        with pytest.raises(InvalidArgument) as refused:
            await client.import_overlay(user="carol", lines=sent)
        assert refused.value.reason == "MALFORMED_EXPORT", what
        assert "line" in str(refused.value)
    assert (await client.list_edits(user="carol")).revision == 0


# A damaged record


async def damaged(service: Running, user: str, revision: int) -> None:
    with (
        contextlib.closing(sqlite3.connect(service.store.folder / OVERLAYS_FILE)) as connection,
        connection,
    ):
        connection.execute(
            "UPDATE edits SET body = ? WHERE user = ? AND revision = ?",
            (BROKEN_BODY, user, revision),
        )


async def test_an_edit_whose_record_was_damaged_is_listed_and_named(service: Running) -> None:
    client = service.client
    edits = [
        (await client.edit_facts(user="alice", add=[("dog", "likes", f"food {n}")])).edit
        for n in range(3)
    ]
    await damaged(service, "alice", 2)
    listed = list((await client.list_edits(user="alice")).edits)
    assert [e.revision for e in listed] == [3, 2, 1]
    assert (listed[0], listed[2]) == (edits[2], edits[0])
    assert listed[1] == pb.Edit(
        id=edits[1].id, revision=2, kind=pb.EDIT_KIND_UNREADABLE, create_time=edits[1].create_time
    )

    with pytest.raises(DataLoss) as lost:
        await client.revert_edit(user="alice", edit_id=edits[1].id)
    assert lost.value.metadata == {"edit_id": edits[1].id, "revision": "2"}
    assert (await client.revert_edit(user="alice", edit_id=edits[2].id)).edit.revision == 4

    lines: list[dict[str, Any]] = []
    with pytest.raises(DataLoss) as lost:
        async for message in client.export_overlay(user="alice"):
            lines.append(json.loads(message.line))  # noqa: PERF401 - those before the failure count
    assert lost.value.metadata == {"edit_id": edits[1].id, "revision": "2"}
    assert [line.get("id") for line in lines[1:3]] == [edits[0].id, edits[2].id]
    assert "sha256" not in lines[-1]
    assert len((await client.list_facts(user="alice")).facts) == 2
