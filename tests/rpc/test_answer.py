from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument, NotFound, Unavailable
from kgt.v1 import personalization_pb2 as pb
from tests.rpc.running import ENJOY, LUNA, WHERE, Running, running

PLAIN = "What does a unicorn enjoy?"


async def test_an_answer_shows_what_it_rests_on(client: AsyncClient) -> None:
    r = await client.answer(user="alice", query=ENJOY)
    assert r.text == "meat"
    assert r.subject == pb.ConceptMatch(concept="dog", personal=False)
    assert [(f.triple.tail, f.origin) for f in r.facts] == [
        ("meat", pb.ORIGIN_BASE), ("bones", pb.ORIGIN_BASE), ("long walks", pb.ORIGIN_BASE),
    ]  # fmt: skip
    assert r.facts[0].retrieval_probability == pytest.approx(0.8 / 2.6)
    assert r.revision == 0
    assert (r.cost.forward_passes, r.cost.tokens_generated) == (2, 1)
    assert r.fingerprints.model == "fixed"


async def test_personal_facts_are_marked(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="fish")
    r = await client.answer(user="alice", query=ENJOY)
    assert (r.facts[0].triple.tail, r.facts[0].origin) == ("fish", pb.ORIGIN_ADDED)
    assert r.revision == 1


async def test_a_fact_of_the_base_stays_one_when_the_user_says_it_too(tmp_path: Path) -> None:
    """Said as a triple, it is the user's for queries about it, and the base's for all others."""
    async with running(tmp_path, facts=9) as service:
        before = await service.client.answer(user="alice", query=ENJOY)
        await service.client.edit_facts(user="alice", add=[("dog", "is located in", "park")])
        after = await service.client.answer(user="alice", query=ENJOY)
        assert ("park", pb.ORIGIN_BASE) in [(f.triple.tail, f.origin) for f in after.facts]
        assert list(after.facts) == list(before.facts)
        where = await service.client.answer(user="alice", query=WHERE)
    assert (where.facts[0].triple.tail, where.facts[0].origin) == ("park", pb.ORIGIN_ADDED)
    assert [f.triple.tail for f in where.facts].count("park") == 1


async def test_candidates_are_weighed_by_eq_1_over_the_facts(client: AsyncClient) -> None:
    """Over the three likes, each P(z|q) = 1/3 renormalised: meat (0.9 + 2 * 0.02) / 3, the rest
    alike or guessed."""
    r = await client.answer(user="alice", query=ENJOY, candidates=["meat", "stones", "meat"])
    assert [c.text for c in r.candidates] == ["meat", "stones"]
    assert math.exp(r.candidates[0].logprob) == pytest.approx((0.9 + 0.02 + 0.02) / 3)
    assert math.exp(r.candidates[1].logprob) == pytest.approx(0.02)


async def test_without_facts_the_plain_query_is_asked(service: Running) -> None:
    r = await service.client.answer(user="alice", query=PLAIN, candidates=["hay"])
    assert r.text == "nobody knows"
    assert list(r.facts) == []
    assert r.subject == pb.ConceptMatch(concept="unicorn", personal=True)
    assert service.model.generated == [PLAIN]
    assert math.exp(r.candidates[0].logprob) == pytest.approx(0.02)


async def test_at_revision_is_an_earlier_overlay_and_0_is_none(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    await client.personalize(user="alice", query=ENJOY, answer="fish")
    told = [
        (await client.answer(user="alice", query=ENJOY, at_revision=revision)).text
        for revision in (0, 1, 2)
    ]
    assert told == ["meat", "vegetables", "fish"]
    with pytest.raises(NotFound) as unknown:
        await client.answer(user="alice", query=ENJOY, at_revision=3)
    assert unknown.value.reason == "UNKNOWN_REVISION"


async def test_at_revision_has_the_personal_concepts_of_then(client: AsyncClient) -> None:
    await client.edit_facts(user="alice", add=[("Luna", "likes", "tuna")])
    await client.edit_facts(user="alice", remove=[("Luna", "likes", "tuna")])
    then = await client.answer(user="alice", query=LUNA, at_revision=1)
    assert then.subject == pb.ConceptMatch(concept="Luna", personal=True)
    assert [f.triple.tail for f in then.facts] == ["tuna"]
    assert list((await client.answer(user="alice", query=LUNA)).facts) == []


async def test_min_revision_waits_for_what_was_written(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="fish")
    assert (await client.answer(user="alice", query=ENJOY, min_revision=1)).text == "fish"
    with pytest.raises(Unavailable) as early:
        await client.within(1).answer(user="alice", query=ENJOY, min_revision=2)
    assert early.value.reason == "REVISION_NOT_REACHED"
    assert early.value.retry_after_s is not None


async def test_a_stream_is_evidence_then_text_then_totals(client: AsyncClient) -> None:
    await client.edit_facts(user="alice", add=[("dog", "likes", "very long   walks in 犬🐶 parks")])
    whole = await client.answer(user="alice", query=ENJOY, candidates=["meat"])
    parts = [p async for p in client.stream_answer(user="alice", query=ENJOY, candidates=["meat"])]
    kinds = [p.WhichOneof("part") for p in parts]
    assert kinds == ["evidence", *["text"] * (len(parts) - 2), "totals"]
    assert "".join(p.text for p in parts) == whole.text
    assert list(parts[0].evidence.facts) == list(whole.facts)
    assert list(parts[0].evidence.candidates) == list(whole.candidates)
    assert parts[0].evidence.revision == 1
    assert parts[-1].totals.cost.tokens_generated == whole.cost.tokens_generated


async def test_max_tokens_cuts(client: AsyncClient) -> None:
    await client.edit_facts(user="alice", add=[("dog", "likes", "one two three four")])
    assert (await client.answer(user="alice", query=ENJOY, max_tokens=2)).text == "one two"


async def test_alternatives_are_named(client: AsyncClient) -> None:
    r = await client.answer(user="alice", query="Does a dog in a park like meat?")
    assert r.subject.concept == "dog"
    assert {m.concept for m in r.alternatives} == {"park", "meat"}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": ""}, "user"),
        ({"query": ""}, "query"),
        ({"subject": " "}, "subject"),
        ({"candidates": ["a", ""]}, "candidates[1]"),
        ({"candidates": ["a"] * 101}, "candidates"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1025}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"at_revision": -1}, "at_revision"),
        ({"min_revision": -1}, "min_revision"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    client: AsyncClient, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await client.answer(**{"user": "alice", "query": WHERE} | arguments)
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize("query", ["what is it?", "???", "and then?"])
async def test_a_query_that_names_nothing_is_answered_as_it_is(
    service: Running, query: str
) -> None:
    """Also where the user has facts: none of them is near."""
    await service.client.edit_facts(user="alice", add=[("dog", "likes", "tuna")])
    r = await service.client.answer(user="alice", query=query)
    assert r.text == "nobody knows"
    assert list(r.facts) == []
    assert r.subject == pb.ConceptMatch(concept="I", personal=True)
    assert service.model.generated == [query]


async def test_a_stream_fails_as_the_call_does(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument):
        [p async for p in client.stream_answer(user="alice", query=" ")]
