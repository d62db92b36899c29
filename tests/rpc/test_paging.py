"""Page tokens are good only for what they were made for, and nobody else can make one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgt.errors import NotFound
from server.errors import UnknownPageToken
from server.rpc.paging import PageTokens, Position
from tests.rpc.running import Running

TOKENS = PageTokens(b"one graph's key")
texts = st.text(max_size=40)


@given(st.integers(0, 1 << 53), texts, texts.filter(bool), texts, st.lists(texts, max_size=4))
def test_a_token_leads_back_to_its_position(
    revision: int, overlay_id: str, cursor: str, user: str, request: list[str]
) -> None:
    position = Position(revision, overlay_id, cursor)
    assert TOKENS.position(TOKENS.token(position, user, *request), user, *request) == position


@given(texts)
def test_no_token_looks_like_an_option_on_a_command_line(user: str) -> None:
    assert not TOKENS.token(Position(1, "o", "c"), user).startswith("-")


def test_there_is_no_token_at_the_end() -> None:
    assert TOKENS.token(Position(1, "o"), "alice", "facts") == ""


@given(st.one_of(st.text(), st.binary().map(lambda b: base64.b64encode(b, b"._").decode())))
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(UnknownPageToken):
        TOKENS.position(text, "alice", "facts")


@given(st.data())
def test_a_changed_token_is_none(data: st.DataObject) -> None:
    raw = bytearray(
        base64.b64decode(
            TOKENS.token(Position(7, "o" * 32, "x" * 20), "alice", "facts") + "==", b"._"
        )
    )
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UnknownPageToken):
        TOKENS.position(base64.b64encode(bytes(raw), b"._").decode(), "alice", "facts")


def test_a_token_of_another_graph_is_none() -> None:
    token = PageTokens(b"another's").token(Position(1, "o", "c"), "alice", "facts")
    with pytest.raises(UnknownPageToken):
        TOKENS.position(token, "alice", "facts")


@pytest.mark.parametrize(
    "body",
    [
        [7, "abc"],
        [1 << 70, "1"],
        [True, "1"],
        [None, None],
        None,
        {},
        [1, 2, 3, 4],
        [[[[]]]],
        [-1, "x"],
        "x",
        [1, "o", "1"],
    ],
)
async def test_a_made_up_token_is_not_found(service: Running, body: Any) -> None:
    await service.client.edit_facts(user="alice", add=[("dog", "likes", "carrots")])
    for bound in (b"", b"0" * 32, bytes(16)):
        token = base64.urlsafe_b64encode(bound + json.dumps(body).encode()).decode().rstrip("=")
        for call in (service.client.list_facts, service.client.list_edits):
            with pytest.raises(NotFound) as unknown:
                await call(user="alice", page_token=token)
            assert unknown.value.reason == "UNKNOWN_PAGE_TOKEN"


async def test_a_token_from_before_an_erase_is_not_found_after_it(service: Running) -> None:
    async def four_edits() -> None:
        for n in range(4):
            await service.client.edit_facts(user="alice", add=[("dog", "has a", f"toy {n}")])

    await four_edits()
    edits = (await service.client.list_edits(user="alice", page_size=2)).next_page_token
    around = (
        await service.client.get_neighborhood(user="alice", concept="dog", page_size=2)
    ).next_page_token
    base = (
        await service.client.get_neighborhood(
            user="alice", concept="dog", page_size=2, at_revision=0
        )
    ).next_page_token
    await service.client.erase_user(user="alice")
    await four_edits()
    for call in (
        service.client.list_edits(user="alice", page_token=edits),
        service.client.get_neighborhood(user="alice", concept="dog", page_token=around),
    ):
        with pytest.raises(NotFound) as unknown:
            await call
        assert unknown.value.reason == "UNKNOWN_PAGE_TOKEN"
    again = await service.client.get_neighborhood(
        user="alice", concept="dog", at_revision=0, page_token=base
    )
    assert again.triples, "nothing of the user is in a page of the base"


async def test_a_listing_begun_before_the_first_edit_goes_on_after_it(service: Running) -> None:
    first = await service.client.get_neighborhood(user="alice", concept="dog", page_size=2)
    await service.client.edit_facts(user="alice", add=[("dog", "has a", "toy")])
    rest = await service.client.get_neighborhood(
        user="alice", concept="dog", page_token=first.next_page_token
    )
    assert rest.revision == 0
    assert "toy" not in {v.triple.tail for v in rest.triples}
