"""Everything accepted can be read, listed, exported and undone with gRPC's default limits."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument
from kgt.v1 import personalization_pb2 as pb
from server.graph.codec import edit_to_json
from server.graph.edit import Account, Change, Edit, EditKind, StopReason, TripleProbabilities
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.rpc import responses
from server.rpc.limits import MAX_MESSAGE_BYTES, MAX_RESPONSE_BYTES
from server.tuning.ports import Page
from tests.rpc.raw import sent, store_large_edit
from tests.rpc.running import ENJOY, Running

DEFAULT_CLIENT_BYTES = 4 << 20


async def pages_of_edits(client: AsyncClient, user: str) -> list[pb.ListEditsResponse]:
    pages = [await client.list_edits(user=user)]
    while token := pages[-1].next_page_token:
        pages.append(await client.list_edits(user=user, page_token=token))
    return pages


async def exported_lines(client: AsyncClient, user: str) -> list[str]:
    """The lines of an export, put together from their pieces."""
    lines, piece = [], ""
    async for message in client.export_overlay(user=user):
        assert message.ByteSize() <= MAX_RESPONSE_BYTES
        piece += message.line
        if not message.continued:
            lines.append(piece)
            piece = ""
    return lines


async def import_in_pieces(
    service: Running, user: str, lines: list[str], **fields: Any
) -> pb.ImportOverlayResponse:
    """Import lines of any length, in messages that every server takes."""
    messages = [pb.ImportOverlayRequest(user=user, **fields)]
    for line in lines:
        pieces = [line[start : start + 1_000_000] for start in range(0, len(line), 1_000_000)]
        messages += [pb.ImportOverlayRequest(lines=[p], continued=True) for p in pieces[:-1]]
        messages.append(pb.ImportOverlayRequest(lines=[pieces[-1]]))
    (response,) = await sent(service, "ImportOverlay", [m.SerializeToString() for m in messages])
    return pb.ImportOverlayResponse.FromString(response)


async def test_many_large_edits_can_be_listed_exported_merged_and_undone(service: Running) -> None:
    client = service.client
    for n in range(19):
        add = [("dog", "HasA", f"{n} {i} ".ljust(490, "x")) for i in range(500)]
        await client.edit_facts(user="alice", add=add)
    pages = await pages_of_edits(client, "alice")
    assert len(pages) > 1
    assert [e.revision for page in pages for e in page.edits] == list(range(19, 0, -1))
    assert all(len(e.added) == 500 for page in pages for e in page.edits)
    assert all(page.ByteSize() <= DEFAULT_CLIENT_BYTES for page in pages)
    lines = await exported_lines(client, "alice")
    assert len(lines) == 21

    await client.edit_facts(user="bob", add=[("dog", "is named", "Rex")])
    merged = await client.import_overlay(user="bob", lines=lines, merge=True)
    assert merged.imported_edits == 19
    assert merged.revision == 1 + len(merged.merged_edit_ids)
    assert merged.merged_edit_ids[-1] == merged.edit.id
    listed = [e for page in await pages_of_edits(client, "bob") for e in page.edits]
    assert [e.id for e in reversed(listed)][1:] == list(merged.merged_edit_ids)
    assert sum(len(e.added) for e in listed) == 19 * 500 + 1
    again = await import_in_pieces(service, "carol", await exported_lines(client, "bob"))
    assert again.revision == merged.revision
    for edit_id in reversed(merged.merged_edit_ids):
        await client.revert_edit(user="bob", edit_id=edit_id)
    assert [f.triple.tail for f in (await client.list_facts(user="bob")).facts] == ["Rex"]


async def test_a_large_edit_of_an_older_version_can_be_listed_exported_imported_and_undone(
    service: Running,
) -> None:
    client = service.client
    await client.edit_facts(user="alice", add=[("dog", "is named", "Rex")])
    large = await store_large_edit(service, "alice", 7000, 490)
    listed = [e for page in await pages_of_edits(client, "alice") for e in page.edits]
    assert [(e.revision, e.triples_left_out) for e in listed] == [(2, 7000), (1, 0)]
    assert (listed[0].id, listed[0].kind) == (large.id, pb.EDIT_KIND_IMPORT)

    lines = await exported_lines(client, "alice")
    with pytest.raises(InvalidArgument, match="set merge"):
        await import_in_pieces(service, "carol", lines)
    merged = await import_in_pieces(service, "carol", lines, merge=True)
    assert (merged.imported_edits, merged.revision) == (2, 15)
    copied = [e for page in await pages_of_edits(client, "carol") for e in page.edits]
    assert sum(len(e.added) for e in copied) == 7001

    undone = await client.revert_edit(user="alice", edit_id=large.id)
    assert (undone.edit.triples_left_out, undone.edit.reverted_edit_id) == (7000, large.id)
    assert [f.triple.tail for f in (await client.list_facts(user="alice")).facts] == ["Rex"]
    assert (await client.revert_edit(user="alice", edit_id=large.id)).edit == undone.edit


async def test_what_could_not_be_told_is_not_done(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service.client
    edit = (await client.edit_facts(user="alice", add=[("dog", "likes", "carrots")])).edit
    await client.edit_facts(user="bob", add=[("dog", "is named", "Rex")])
    lines = await exported_lines(client, "alice")
    monkeypatch.setattr(responses, "MAX_RESPONSE_BYTES", 50)
    for call, field in (
        (client.edit_facts(user="alice", add=[("dog", "likes", "fish")]), "add"),
        (client.personalize(user="alice", query=ENJOY, answer="fish"), "query"),
        (client.revert_edit(user="alice", edit_id=edit.id), "edit_id"),
        (client.answer(user="alice", query=ENJOY), "candidates"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await call
        assert (refused.value.reason, list(refused.value.fields)) == ("RESPONSE_TOO_LARGE", [field])
    assert (await client.list_edits(user="alice")).revision == 1

    with pytest.raises(InvalidArgument) as refused:
        await client.import_overlay(user="bob", lines=lines, merge=True)
    assert (refused.value.reason, list(refused.value.fields)) == ("RESPONSE_TOO_LARGE", ["lines"])
    assert (await client.list_edits(user="bob")).revision == 1


async def test_edits_that_block_a_triple_are_named_up_to_twenty(service: Running) -> None:
    first = (await service.client.edit_facts(user="alice", add=[("dog", "likes", "carrots")])).edit
    for n in range(30):
        change: Any = {"remove" if n % 2 == 0 else "add": [("dog", "likes", "carrots")]}
        await service.client.edit_facts(user="alice", **change)
    r = await service.client.revert_edit(user="alice", edit_id=first.id, skip_conflicts=True)
    assert [len(s.edit_ids) for s in r.skipped] == [20]


async def test_an_answer_that_would_repeat_too_much_is_refused(service: Running) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await service.client.answer(
            user="alice", query=ENJOY, candidates=[c * 260_000 for c in "abcdefghijklmno"]
        )
    assert next(iter(refused.value.fields)).startswith("candidates")


# An edit's message is smaller than its record, by which stores end pages

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
numbers = st.floats(0, 1)
marks = st.one_of(
    st.none(),
    st.builds(
        Mark,
        st.sampled_from([Origin.ADDED, Origin.REMOVED]),
        st.builds(Stamp, st.integers(1, 9), st.integers(0, 9)),
    ),
)
triples = st.builds(Triple.of, texts, texts, texts)
probabilities = st.one_of(
    st.none(),
    st.builds(TripleProbabilities, numbers, numbers, numbers, st.one_of(st.none(), numbers)),
)
losses = st.one_of(numbers, st.just(math.inf))
evidences = st.builds(
    Account,
    texts, texts, texts, texts, st.tuples(texts), losses, losses,
    st.sampled_from(StopReason), st.booleans(), texts, texts,
)  # fmt: skip
edits = st.builds(
    Edit,
    id=st.text("0123456789abcdef", min_size=1, max_size=32),
    revision=st.integers(1, 1 << 40),
    kind=st.sampled_from(EditKind),
    time_ms=st.integers(0, 4_000_000_000_000),
    changes=st.lists(
        st.builds(Change, triples, marks, marks, probabilities), min_size=1, max_size=8
    ).map(tuple),
    account=st.one_of(st.none(), evidences),
    reverts=st.one_of(st.none(), texts),
    relied_on=st.lists(triples, max_size=3).map(tuple),
)


@given(edits)
def test_an_edits_message_is_smaller_than_its_record(edit: Edit) -> None:
    assert responses.edit_message(edit).ByteSize() <= len(edit_to_json(edit).encode())


def test_a_page_and_one_message_fit_a_default_client() -> None:
    assert Page(500).max_bytes <= MAX_RESPONSE_BYTES < MAX_MESSAGE_BYTES == DEFAULT_CLIENT_BYTES
