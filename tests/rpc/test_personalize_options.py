"""Personalize's options: when it stops, what it removes, how much it scores."""

from __future__ import annotations

import math

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument
from kgt.v1 import personalization_pb2 as pb
from server.tuning.templates import reasoning_prompt
from tests.rpc.running import ENJOY, Running, say, triples


async def test_the_loop_goes_on_until_the_model_says_it(service: Running) -> None:
    first_facts = ["dog likes vegetables", "dog is located in kennel", "dog is located in park"]
    service.model.says[reasoning_prompt(ENJOY, first_facts)] = "a bone"
    r = await service.client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert r.converged
    assert len(r.edit.added) + len(r.edit.removed) > 2
    assert await say(service.client, ENJOY) == "vegetables"


async def test_literal_mode_is_the_papers(client: AsyncClient) -> None:
    """k = 1: H is (dog, Desires, vegetables). Default epsilon: half of the retrieval mass, L_min +
    ln 2 = ln 2 - ln 0.9.

    Ties in P(a|q,z) keep the graph's order: the locations go first, then likes until 0.8 / (0.8 +
    rest) >= 0.5.
    """
    options = pb.PersonalizeOptions(stopping=pb.STOPPING_LITERAL, removal=pb.REMOVAL_LITERAL, k=1)
    r = await client.personalize(
        user="alice", query=ENJOY, answer="vegetables", options=options, verify=False
    )
    assert r.stop_reason == pb.STOP_REASON_LOSS
    assert triples(r.edit.added) == [("dog", "Desires", "vegetables")]
    assert [t[2] for t in triples(r.edit.removed)] == [
        "kennel",
        "park",
        "sofa",
        "meat",
        "bones",
        "long walks",
    ]
    assert r.loss_before == math.inf
    assert r.loss_after == pytest.approx(-math.log(0.9 * 0.8 / 0.85))
    assert not r.approximate
    assert r.unscored_mass_before == pytest.approx(0)


async def test_an_epsilon_out_of_reach_names_the_minimum(client: AsyncClient) -> None:
    options = pb.PersonalizeOptions(
        stopping=pb.STOPPING_LITERAL, removal=pb.REMOVAL_LITERAL, epsilon=0.01
    )
    with pytest.raises(InvalidArgument) as refused:
        await client.personalize(user="alice", query=ENJOY, answer="vegetables", options=options)
    assert refused.value.reason == "EPSILON_UNREACHABLE"
    assert "L_min" in str(refused.value)
    assert float(refused.value.metadata["minimum"]) > 0.01


async def test_unscored_mass_is_reported(client: AsyncClient) -> None:
    options = pb.PersonalizeOptions(
        max_scored_triples=1, stopping=pb.STOPPING_LITERAL, removal=pb.REMOVAL_LITERAL, epsilon=50
    )
    r = await client.personalize(
        user="alice", query=ENJOY, answer="vegetables", options=options, verify=False
    )
    assert r.approximate
    # The facts of the answers before (3 likes) and after (2 locations) are scored whatever the
    # budget: 2.5 of 2.6.
    assert r.unscored_mass_before == pytest.approx(0.1 / 2.6)


async def test_removal_none_lets_both_hold(client: AsyncClient) -> None:
    options = pb.PersonalizeOptions(removal=pb.REMOVAL_NONE)
    r = await client.personalize(user="alice", query=ENJOY, answer="fish", options=options)
    assert list(r.edit.removed) == []
    assert await say(client, ENJOY) == "fish"
    assert "meat" in [
        v.triple.tail
        for v in (await client.get_neighborhood(user="alice", concept="dog")).triples
        if v.origin == pb.ORIGIN_BASE
    ]
