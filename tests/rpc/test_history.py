from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from kgt.v1 import personalization_pb2 as pb
from server import errors
from server.stores.sqlite.check import OVERLAYS_FILE
from tests.conformance.graph_store import BROKEN_BODY
from tests.rpc.running import ENJOY, Running


def names(triples: object) -> list[str]:
    return [t.triple.tail for t in triples]  # type: ignore[attr-defined]


# Looking


async def test_a_neighborhood_says_base_added_or_removed(client: AsyncClient) -> None:
    await client.edit_facts(
        user="alice", add=[("dog", "likes", "carrots")], remove=[("Dog", "Desires", "MEAT")]
    )
    r = await client.get_neighborhood(user="alice", concept="Dog")
    origins = {v.triple.tail: v.origin for v in r.triples}
    assert origins["carrots"] == pb.ORIGIN_ADDED
    assert origins["meat" if "meat" in origins else "MEAT"] == pb.ORIGIN_REMOVED
    assert origins["bones"] == pb.ORIGIN_BASE
    by_tail = {v.triple.tail: v for v in r.triples}
    assert (by_tail["bones"].weight, by_tail["bones"].dataset, by_tail["bones"].license) == (
        3.0,
        "/d/test",
        "cc0",
    )
    assert by_tail["carrots"].revision == 1
    assert not by_tail["carrots"].HasField("weight")
    assert (r.concept, r.revision) == ("dog", 1)
    then = await client.get_neighborhood(user="alice", concept="dog", at_revision=0)
    assert {v.origin for v in then.triples} == {pb.ORIGIN_BASE}


async def test_facts_are_what_is_known_about_a_user(client: AsyncClient) -> None:
    assert list((await client.list_facts(user="alice")).facts) == []
    personalized = await client.personalize(user="alice", query=ENJOY, answer="fish")
    r = await client.list_facts(user="alice")
    assert {(f.triple.tail, f.origin) for f in r.facts} == {
        ("fish", pb.ORIGIN_ADDED),
        ("meat", pb.ORIGIN_REMOVED),
    }
    assert {f.edit_id for f in r.facts} == {personalized.edit.id}
    assert r.facts[0].create_time == personalized.edit.create_time


async def test_edits_are_listed_whole_newest_first(client: AsyncClient) -> None:
    personalized = await client.personalize(user="alice", query=ENJOY, answer="fish")
    edited = await client.edit_facts(user="alice", add=[("dog", "is named", "Rex")])
    r = await client.list_edits(user="alice")
    assert list(r.edits) == [edited.edit, personalized.edit]
    assert r.edits[1].query == ENJOY


async def test_pages_are_pinned_to_the_first_ones_revision(client: AsyncClient) -> None:
    for n in range(7):
        await client.edit_facts(user="alice", add=[("dog", "has a", f"toy {n}")])
    seen: list[int] = []
    token = ""
    while True:
        page = await client.list_edits(user="alice", page_size=3, page_token=token)
        seen += [e.revision for e in page.edits]
        assert page.revision == 7
        if not (token := page.next_page_token):
            break
        await client.edit_facts(user="alice", add=[("dog", "has a", f"hat {len(seen)}")])
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (3, 3), (500, 500), (100_000, 500)])
async def test_page_sizes(client: AsyncClient, asked: int, given: int) -> None:
    await client.edit_facts(user="alice", add=[("dog", "has a", f"toy {n}") for n in range(450)])
    await client.edit_facts(user="alice", add=[("dog", "has a", f"hat {n}") for n in range(100)])
    r = await client.list_facts(user="alice", page_size=asked)
    assert len(r.facts) == given


async def test_a_token_is_good_for_its_own_request_and_user_only(client: AsyncClient) -> None:
    for user in ("alice", "bob"):
        await client.edit_facts(user=user, add=[("dog", "has a", f"toy {n}") for n in range(4)])
        await client.edit_facts(user=user, add=[("dog", "has a", f"hat {n}") for n in range(4)])
    facts = (await client.list_facts(user="alice", page_size=2)).next_page_token
    around = (
        await client.get_neighborhood(user="alice", concept="dog", page_size=2)
    ).next_page_token
    assert facts
    assert around
    for call in (
        client.list_facts(user="bob", page_token=facts),
        client.list_edits(user="alice", page_token=facts),
        client.get_neighborhood(user="alice", concept="cat", page_token=around),
        client.get_neighborhood(user="alice", concept="dog", at_revision=1, page_token=around),
        client.list_facts(user="alice", page_token="nonsense"),
        client.list_facts(user="alice", page_token=facts[:-3]),
        client.list_facts(user="alice", page_token="é"),
    ):
        with pytest.raises(NotFound) as unknown:
            await call
        assert unknown.value.reason == "UNKNOWN_PAGE_TOKEN"


async def test_a_negative_page_size_is_refused(client: AsyncClient) -> None:
    for call in (
        client.list_facts(user="alice", page_size=-1),
        client.list_edits(user="alice", page_size=-1),
        client.get_neighborhood(user="alice", concept="dog", page_size=-1),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await call
        assert list(refused.value.fields) == ["page_size"]


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


async def test_erasing_forgets_what_the_model_said(service: Running) -> None:
    await service.client.answer(user="alice", query=ENJOY)
    asked = len(service.model.scored)
    await service.client.answer(user="alice", query=ENJOY)
    assert len(service.model.scored) == asked
    await service.client.erase_user(user="alice")
    await service.client.answer(user="alice", query=ENJOY)
    assert len(service.model.scored) > asked
