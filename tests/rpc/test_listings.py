"""Looking: neighborhoods, facts and edits, page by page."""

from __future__ import annotations

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument, NotFound
from kgt.v1 import personalization_pb2 as pb
from tests.rpc.running import ENJOY


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
