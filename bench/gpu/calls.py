"""Whole calls of the use cases: one Personalize after another, and Answers at once."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench import workload
from bench.gpu.told import tell
from bench.inprocess import in_process, personalized, spread
from bench.models import MeasuredModel, held_bytes, peak_bytes, reset_peak
from bench.personalize import ranked
from server.lm.defaults import GPU_SCORED_TRIPLES
from server.lm.transformers_model import TransformersModel
from server.rpc.service import UseCases
from server.tuning.answer import AnswerQuery
from server.tuning.cost import Cost
from server.tuning.personalize.command import PersonalizeCommand, RelationSource

WARMING = 3
"""The first corrections of each kind warm up and do not count."""
LEAST_ANSWERS_EACH = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    n: int
    """Triples of each concept."""
    corrections: int
    streams: Sequence[int]
    """Numbers of Answers at once."""
    answers: int
    """The fewest Answers in a run."""
    is_over: Callable[[], bool]
    """Whether time is up. What is being measured then ends with the requests that it has."""

    @property
    def concepts(self) -> list[str]:
        """What is asked about: enough that nobody asks the same twice."""
        return workload.subjects(max(self.corrections + WARMING, self.answers, LEAST_ANSWERS_EACH))


@dataclass(slots=True)
class _Tally:
    took_ms: list[float] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)

    def add(self, took_ms: float, cost: Cost) -> None:
        self.took_ms.append(took_ms)
        self.costs.append(cost)

    def line(self) -> dict[str, Any]:
        """The times, and what a request costs: medians of counts, means of stages."""
        models = [cost.model for cost in self.costs]
        stages: Counter[str] = Counter()
        for cost in self.costs:
            stages.update(dict(cost.stages_ms))
        return {
            "requests": len(self.costs),
            "forward_passes": statistics.median(m.forward_passes for m in models),
            "tokens_read": statistics.median(m.tokens_read for m in models),
            "tokens_generated": statistics.median(m.tokens_generated for m in models),
            **spread(self.took_ms),
            "stages_ms": {s: round(ms / len(self.costs), 1) for s, ms in stages.items()},
        }


async def calls(subject: MeasuredModel, plan: Plan) -> dict[str, Any]:
    """What Personalize takes, with ranked and with generated relations, and what Answers take."""
    model = TransformersModel(subject.loaded, streams=max(plan.streams))
    tell(model, subject.loaded.tokenizer, plan.n)
    try:
        async with in_process(model, len(plan.concepts), plan.n) as use:
            sources = (RelationSource.RANKED, RelationSource.GENERATED)
            corrections = [await _corrections(subject, use, plan, source) for source in sources]
            answers = [await _answers(subject, use, plan, count) for count in plan.streams]
    finally:
        model.close()
    held = held_bytes(subject.model.device)
    return {
        "personalize": corrections,
        "answers": answers,
        **_over_weights(subject, "held_over_weights", held),
    }


def correction(user: str, concept: str, n: int, source: RelationSource) -> PersonalizeCommand:
    """Ranked: the answer before is given and nothing is generated. Generated: as the service does
    it by default, with the answers before and after.
    """
    command = ranked(user, concept, n, GPU_SCORED_TRIPLES)
    if source is RelationSource.RANKED:
        return command
    rules = replace(command.rules, relation_source=source)
    return replace(command, rules=rules, answer_before=None, verify=True)


async def _corrections(
    subject: MeasuredModel, use: UseCases, plan: Plan, source: RelationSource
) -> dict[str, Any]:
    tally = _Tally()
    for number, concept in enumerate(plan.concepts[: plan.corrections + WARMING]):
        if number == WARMING:
            reset_peak(subject.model.device)
        command = correction(f"{source.value}-{number}", concept, plan.n, source)
        outcome, took_ms = await personalized(use, command)
        if number >= WARMING:
            tally.add(took_ms, outcome.cost)
            if plan.is_over():
                break
    return {"relations": source.value, **tally.line(), **_peak(subject)}


async def _answers(
    subject: MeasuredModel, use: UseCases, plan: Plan, streams: int
) -> dict[str, Any]:
    """As many clients as streams. Each is a user and asks its next query once it is answered."""
    each = max(LEAST_ANSWERS_EACH, plan.answers // streams)
    await _asked(use, plan.concepts, "warming", streams, 1)
    reset_peak(subject.model.device)
    started = time.perf_counter()
    tally = await _asked(use, plan.concepts, "asking", streams, each)
    elapsed_s = time.perf_counter() - started
    return {
        "streams": streams,
        "answers_per_second": round(len(tally.costs) / elapsed_s, 1),
        **tally.line(),
        **_peak(subject),
    }


async def _asked(
    use: UseCases, concepts: Sequence[str], name: str, clients: int, each: int
) -> _Tally:
    tally = _Tally()

    async def client(user: str) -> None:
        for concept in random.Random(user).sample(concepts, each):
            started = time.perf_counter()
            answer = await use.answerer.answer(AnswerQuery(user, workload.query(concept)))
            tally.add((time.perf_counter() - started) * 1000, answer.cost)

    await asyncio.gather(*(client(f"{name}-{clients}-{number}") for number in range(clients)))
    return tally


def _over_weights(subject: MeasuredModel, name: str, count: int | None) -> dict[str, float]:
    """{name: bytes in times of the weights}; empty where they are not known."""
    return {} if count is None else {name: round(count / subject.weight_bytes, 3)}


def _peak(subject: MeasuredModel) -> dict[str, float]:
    """The peak of memory since it was last reset."""
    return _over_weights(subject, "peak_over_weights", peak_bytes(subject.model.device))
