"""Replicas on Ray Serve are one LanguageModel, also while one of them is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kgt.client import AsyncClient
from server import assemble
from server.errors import DeadlinePassed, ModelUnusable
from server.lm.replicas.address import ReplicasAddress
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.deadline import deadline_at
from server.tuning.ports import GenerateRequest, LanguageModel
from server.tuning.ticket import Need, Ticket, call_ticket
from server.tuning.watching import call_watch
from testbed.bases import build_base
from testbed.processes import until
from testbed.serving import served
from tests.conformance.language_model import FACTS, RETRIEVAL, LanguageModelConformance, whole
from tests.lm.replicas.conftest import REPLICAS
from tests.rpc.running import BASE, ENJOY, VOCABULARY
from tests.telemetry.seeing import Seen, attributes_of

if TYPE_CHECKING:
    from server.lm.replicas.client import ReplicatedModel

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def replicated(replicas: ReplicasAddress) -> Iterator[ReplicatedModel]:
    model = assemble.model(Settings(model=f"ray://{replicas.cluster}/{replicas.name}"))
    yield model  # type: ignore[misc]
    model.close()


@pytest.fixture
def language_model(replicated: ReplicatedModel) -> LanguageModel:
    return replicated


class TestReplicatedModel(LanguageModelConformance):
    """Two replicas of a random Llama."""


async def test_a_calls_ticket_comes_back_with_what_the_replica_noted(
    replicated: ReplicatedModel,
) -> None:
    ticket, begun = Ticket(Need(100, 0.0)), time.monotonic()
    call_ticket.set(ticket)
    await replicated.score([RETRIEVAL])
    read, ended = ticket.tokens_read, ticket.ended
    assert ticket.number is not None
    assert ticket.began is not None
    assert ended is not None
    assert begun <= ticket.began <= ended <= time.monotonic()
    request = GenerateRequest(FACTS[0].prompt, 4, stop=())
    pieces = [piece async for piece in replicated.generate(request)]
    assert len(pieces) > 1
    assert ticket.tokens_read - read <= sum(piece.cost.tokens_read for piece in pieces)
    assert ticket.tokens_read > read > 0
    assert ticket.ended != ended


async def test_a_killed_replicas_questions_and_texts_are_finished_by_the_other(
    replicated: ReplicatedModel, seen: Seen
) -> None:
    call_watch.set(seen.sight.call("Answer", ()))
    requests = [GenerateRequest(FACTS[n % 2].prompt, 60, stop=()) for n in range(6)]
    expected = [await whole(replicated, request) for request in requests[:2]]
    streams = [replicated.generate(request) for request in requests]
    first = await asyncio.gather(*(anext(stream) for stream in streams))
    kill_one_replica()
    scores = await asyncio.gather(*(replicated.score([RETRIEVAL]) for _ in range(20)))
    assert all(each == scores[0] for each in scores)
    for number, (stream, piece) in enumerate(zip(streams, first, strict=True)):
        rest = [piece async for piece in stream]
        assert piece.text + "".join(p.text for p in rest) == expected[number % 2]
        assert sum(p.cost.tokens_generated for p in [piece, *rest]) <= 60
    assert seen.value("kgt_retries_total", {"what": "replica"})
    assert any("kgt.request.retries" in attributes_of(s) for s in seen.named("model request"))
    await asyncio.to_thread(until, lambda: len(replica_names()) == REPLICAS, "a new replica")


async def test_a_question_is_seen_with_its_size_and_the_tokens_that_the_replica_read(
    replicated: ReplicatedModel, seen: Seen
) -> None:
    call_watch.set(seen.sight.call("Answer", ()))
    scores = await replicated.score([RETRIEVAL, *FACTS])
    assert await whole(replicated, GenerateRequest(FACTS[0].prompt, 4, stop=()))
    scored, generated = seen.named("model request")
    texts = sum(len(branch.continuations) for branch in [RETRIEVAL, *FACTS])
    assert attributes_of(scored)["kgt.request.texts"] == texts
    assert attributes_of(scored)["kgt.tokens_read"] == scores.cost.tokens_read
    assert seen.path(generated) == ["model generate", "model request"]
    for kind in ("score", "generate"):
        done = {"kind": kind, "outcome": "ok"}
        assert seen.value("kgt_model_request_duration_seconds_count", done) == 1


async def test_a_replica_killed_under_load_fails_no_request_and_loses_no_edit(
    replicated: ReplicatedModel, tmp_path: Path
) -> None:
    build_base(tmp_path, BASE, VOCABULARY)
    store = SqliteStore(tmp_path, VOCABULARY)
    cases = assemble.use_cases(Settings(max_tokens=8), store, replicated, VOCABULARY)
    acknowledged: dict[str, list[str]] = {}

    async def load(client: AsyncClient, user: str) -> None:
        for number in range(3):
            # A random model may find nothing to change, so an edit is made without it, too
            corrected = await client.personalize(user=user, query=ENJOY, answer=f"fish {number}")
            told = await client.edit_facts(user=user, add=[("dog", "has a", f"hat {number}")])
            made = [each.edit.id for each in (corrected, told) if each.edit.id]
            acknowledged.setdefault(user, []).extend(made)
            await client.answer(user=user, query=ENJOY)

    async with served(cases) as (address, _), AsyncClient(address, timeout_s=300) as client:
        loads = [asyncio.ensure_future(load(client, f"user {n}")) for n in range(4)]
        await asyncio.to_thread(until, lambda: len(acknowledged) > 0, "the load to begin")
        kill_one_replica()
        await asyncio.gather(*loads)
        for user, ids in acknowledged.items():
            edits = (await client.list_edits(user=user)).edits
            assert len(ids) >= 3
            assert [edit.id for edit in reversed(edits)] == ids
    assert await store.check() == []
    await store.close()


async def test_without_a_replica_that_answers_in_time_the_caller_is_told(
    replicated: ReplicatedModel,
) -> None:
    # One that is only starting may be there before those that are killed
    await asyncio.to_thread(until, lambda: len(replica_names()) == REPLICAS, "all replicas")
    for name in replica_names():
        kill(name)
    with deadline_at(time.monotonic() + 0.2), pytest.raises(DeadlinePassed):
        await replicated.score([RETRIEVAL])


def test_an_application_that_is_not_there_is_told(cluster: str) -> None:
    with pytest.raises(ModelUnusable, match=r"server\.replicas"):
        assemble.model(Settings(model=f"ray://{cluster}/other"))


def replica_names() -> list[str]:
    import ray

    listed = ray.util.list_named_actors(all_namespaces=True)
    return [each["name"] for each in listed if "SERVE_REPLICA" in each["name"]]


def kill_one_replica() -> None:
    kill(replica_names()[0])


def kill(name: str) -> None:
    """End a replica's process as kill -9 would."""
    import ray

    ray.kill(ray.get_actor(name, namespace="serve"))
