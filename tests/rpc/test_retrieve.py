"""Retrieve: what Answer would read, for somebody else's prompt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import DeadlineExceeded, InvalidArgument, NotFound, Unavailable
from kgt.v1 import personalization_pb2 as pb
from tests.fixed_model import FixedModel
from tests.rpc.running import ENJOY, FEED, LUNA, NAME, PHRASES, WHERE, Running, running

NOTHING = "What does a unicorn enjoy?"


@pytest.fixture
async def unsure(tmp_path: Path) -> AsyncIterator[Running]:
    """A service whose model is never sure that another query asks the same."""
    async with running(tmp_path, FixedModel(PHRASES, sure=1.0)) as started:
        yield started


def triples_of(facts: Any) -> list[tuple[str, str, str]]:
    return [(f.triple.head, f.triple.relation, f.triple.tail) for f in facts]


# What is retrieved


async def test_each_fact_says_what_it_is_and_where_it_comes_from(client: AsyncClient) -> None:
    made = await client.personalize(user="alice", query=FEED, answer="carrots")
    r = await client.retrieve(user="alice", query=FEED)
    first, second, *_ = r.facts
    assert triples_of([first]) == [("dog", "Desires", "carrots")]
    assert (first.words, first.origin) == ("my dog likes carrots", pb.ORIGIN_ADDED)
    assert (first.edit_id, first.revision) == (made.edit.id, 1)
    assert second.origin == pb.ORIGIN_BASE
    assert (second.edit_id, second.HasField("revision")) == ("", False)
    assert r.subject == pb.ConceptMatch(concept="dog", personal=False)
    assert r.revision == 1
    assert r.fingerprints.model == "fixed"


async def test_the_context_is_ready_for_a_prompt(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=FEED, answer="carrots")
    r = await client.retrieve(user="alice", query=FEED, max_facts=2)
    assert r.context == (
        'What the user has told ("I" and "my" are the user\'s):\n'
        "- my dog likes carrots\n"
        "What is generally known:\n"
        f"- {r.facts[1].words}"
    )
    bobs = await client.retrieve(user="bob", query=FEED, max_facts=1)
    assert bobs.context == "What is generally known:\n- dog likes meat"


@pytest.mark.parametrize("query", [NOTHING, "what is it?", "???"])
async def test_where_nothing_fits_there_is_nothing(client: AsyncClient, query: str) -> None:
    await client.personalize(user="alice", query=FEED, answer="carrots")
    r = await client.retrieve(user="alice", query=query)
    assert (list(r.facts), r.context) == ([], "")


@pytest.mark.parametrize("query", [ENJOY, FEED, WHERE, NAME, LUNA, NOTHING])
async def test_it_is_what_answer_reads_in_the_same_order(unsure: Running, query: str) -> None:
    client = unsure.client
    await client.personalize(user="alice", query=FEED, answer="carrots")
    await client.edit_facts(
        user="alice", add=[("dog", "is named", "Rex"), ("Luna", "likes", "tea")]
    )
    found = await client.retrieve(user="alice", query=query)
    read = await client.answer(user="alice", query=query)
    assert [(f.triple, f.origin) for f in found.facts] == [(f.triple, f.origin) for f in read.facts]
    assert [f.retrieval_probability for f in found.facts] == pytest.approx(
        [f.retrieval_probability for f in read.facts]
    )
    assert (found.subject, found.revision) == (read.subject, read.revision)


async def test_the_model_is_asked_once_and_generates_nothing(unsure: Running) -> None:
    """Also where Answer has to ask a second time whether a fact that is near is what is asked."""
    client, model = unsure.client, unsure.model
    await client.personalize(user="alice", query=FEED, answer="carrots")
    for user, query in (("alice", ENJOY), ("alice", WHERE), ("alice", NOTHING), ("bob", ENJOY)):
        model.generated.clear()
        r = await client.retrieve(user=user, query=query)
        assert (model.generated, r.cost.tokens_generated) == ([], 0)
        assert r.cost.forward_passes <= 1
        assert [stage.stage for stage in r.cost.stages] == ["retrieve"]
    await client.personalize(user="carol", query=FEED, answer="carrots")
    r = await client.retrieve(user="carol", query=ENJOY)
    assert (r.facts[0].words, r.cost.forward_passes) == ("my dog likes carrots", 1)
    again = await client.retrieve(user="carol", query=ENJOY)
    assert (list(again.facts), again.cost.forward_passes) == (list(r.facts), 0)


async def test_the_most_facts_are_a_beginning_of_all_of_them(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="carrots")
    every = list((await client.retrieve(user="alice", query=ENJOY, max_facts=100)).facts)
    assert len(every) == 5, "the base's facts of the same relation give way"
    usual = list((await client.retrieve(user="alice", query=ENJOY)).facts)
    for most in range(1, len(every) + 1):
        some = list((await client.retrieve(user="alice", query=ENJOY, max_facts=most)).facts)
        assert some == every[:most]
    assert usual == every[:3]


# Whose, and when


async def test_nothing_of_one_user_is_retrieved_for_another(client: AsyncClient) -> None:
    before = await client.retrieve(user="bob", query=ENJOY)
    await client.personalize(user="alice", query=ENJOY, answer="caviar")
    await client.edit_facts(user="alice", add=[("Luna", "likes", "caviar")])
    for query in (ENJOY, FEED, LUNA):
        r = await client.retrieve(user="bob", query=query, max_facts=100)
        assert "caviar" not in r.context
        assert not any(fact.edit_id for fact in r.facts)
    assert list((await client.retrieve(user="bob", query=ENJOY)).facts) == list(before.facts)


async def test_an_erased_user_has_nothing_to_retrieve(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="caviar")
    assert "caviar" in (await client.retrieve(user="alice", query=ENJOY)).context
    await client.erase_user(user="alice")
    r = await client.retrieve(user="alice", query=ENJOY)
    assert (r.facts[0].words, r.revision) == ("dog likes meat", 0)


async def test_at_revision_is_an_earlier_overlay_and_0_is_none(client: AsyncClient) -> None:
    edits = [
        (await client.personalize(user="alice", query=ENJOY, answer=answer)).edit.id
        for answer in ("vegetables", "fish")
    ]
    told = [
        (await client.retrieve(user="alice", query=ENJOY, at_revision=revision)).facts[0]
        for revision in (0, 1, 2)
    ]
    assert [fact.triple.tail for fact in told] == ["meat", "vegetables", "fish"]
    assert [fact.edit_id for fact in told] == ["", *edits]
    with pytest.raises(NotFound) as unknown:
        await client.retrieve(user="alice", query=ENJOY, at_revision=3)
    assert unknown.value.reason == "UNKNOWN_REVISION"


async def test_min_revision_waits_for_what_was_written(client: AsyncClient) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="fish")
    r = await client.retrieve(user="alice", query=ENJOY, min_revision=1)
    assert r.facts[0].triple.tail == "fish"
    with pytest.raises(Unavailable) as early:
        await client.within(1).retrieve(user="alice", query=ENJOY, min_revision=2)
    assert early.value.reason == "REVISION_NOT_REACHED"


async def test_the_edit_of_a_fact_is_the_one_that_a_listing_names(tmp_path: Path) -> None:
    """Also after an undo brought the fact back, and for a server that reads all of it anew."""
    async with running(tmp_path) as service:
        client = service.client
        await client.personalize(user="alice", query=ENJOY, answer="fish")
        await client.retrieve(user="alice", query=ENJOY)
        removed = await client.edit_facts(user="alice", remove=[("dog", "Desires", "fish")])
        assert not (await client.retrieve(user="alice", query=ENJOY)).facts[0].edit_id
        await client.revert_edit(user="alice", edit_id=removed.edit.id)
        [listed] = [
            fact
            for fact in (await client.list_facts(user="alice")).facts
            if fact.origin == pb.ORIGIN_ADDED
        ]
        followed = (await client.retrieve(user="alice", query=ENJOY)).facts[0]
    async with running(tmp_path) as service:
        anew = (await service.client.retrieve(user="alice", query=ENJOY)).facts[0]
    for fact in (followed, anew):
        assert (fact.triple, fact.edit_id) == (listed.triple, listed.edit_id)
        assert fact.revision == listed.revision


# What is refused


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": ""}, "user"),
        ({"query": ""}, "query"),
        ({"query": "word " * 500}, "query"),
        ({"subject": " "}, "subject"),
        ({"max_facts": 0}, "max_facts"),
        ({"max_facts": 101}, "max_facts"),
        ({"at_revision": -1}, "at_revision"),
        ({"min_revision": -1}, "min_revision"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    client: AsyncClient, arguments: dict[str, Any], field: str
) -> None:
    await client.edit_facts(user="alice", add=[("word", "likes", "tuna")])
    with pytest.raises(InvalidArgument) as refused:
        await client.retrieve(**{"user": "alice", "query": WHERE} | arguments)
    assert list(refused.value.fields) == [field]


async def test_a_call_ends_at_its_deadline(service: Running) -> None:
    service.model.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await service.client.within(0.2).retrieve(user="alice", query=ENJOY)
    service.model.gate.set()
    assert (await service.client.retrieve(user="alice", query=ENJOY)).facts
