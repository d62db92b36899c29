"""Whole requests on one model: what Answers and Personalizes cost, with drafts and without.

The cases are the everyday ones (evaluation/data), each of a new user. Both ways share the weights
and take turns, case by case.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.inprocess import personalized
from bench.models import MeasuredModel, device_name
from evaluation.everyday import EverydayCase, build_graph, read_cases
from server import assemble
from server.lm.drafts import MOST_DRAFTED
from server.lm.transformers_model import TransformersModel
from server.rpc.service import UseCases
from server.settings import read_settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import AnswerQuery
from server.tuning.cost import Cost
from server.tuning.personalize.command import PersonalizeCommand, RelationSource

ANSWER, PERSONALIZE, RANKED = REQUESTS = ("answer", "personalize", "personalize, ranked")


@dataclass(frozen=True, slots=True)
class Measured:
    """One request: what it cost, and what it said."""

    request: str
    drafts: bool
    cost: Cost
    said: str


def measured(subject: MeasuredModel, cases: int) -> list[dict[str, Any]]:
    """The median costs of the first `cases` everyday cases' requests, a line for each way."""
    both = {
        drafts: TransformersModel(subject.loaded, most_drafted=MOST_DRAFTED if drafts else 0)
        for drafts in (True, False)
    }
    try:
        found = asyncio.run(_asked(both, read_cases()[:cases]))
    finally:
        for model in both.values():
            model.close()
    for request in REQUESTS:
        drafted, plain = (_said(found, request, drafts) for drafts in (True, False))
        other = sum(a != b for a, b in zip(drafted, plain, strict=True))
        print(f"{request}: drafts changed the text of {other} of {len(plain)}")
    lines = []
    for request in REQUESTS:
        for drafts in (False, True):
            costs = [m.cost for m in found if (m.request, m.drafts) == (request, drafts)]
            line = _line(costs)
            named = {"model": subject.name, "device": device_name(subject.model.device)}
            lines.append({**named, "request": request, "drafts": drafts, **line})
            print(f"{request} {'with' if drafts else 'without'} drafts: {line}", flush=True)
    return lines


async def _asked(
    both: dict[bool, TransformersModel], cases: Sequence[EverydayCase]
) -> list[Measured]:
    settings = read_settings([])
    vocabulary = await assemble.vocabulary(settings)
    with tempfile.TemporaryDirectory() as folder:
        build_graph(Path(folder), read_cases(), vocabulary)
        store = SqliteStore(folder, vocabulary)
        uses = {d: assemble.use_cases(settings, store, m, vocabulary) for d, m in both.items()}
        try:
            found = []
            for case in cases:
                for drafts, use in uses.items():
                    found += [m async for m in _requests(use, case, drafts=drafts)]
            return found
        finally:
            await store.close()


async def _requests(use: UseCases, case: EverydayCase, *, drafts: bool) -> AsyncIterator[Measured]:
    """An Answer that rests on facts, by one new user, and a Personalize by each of two others."""
    user = f"{case.id} {drafts}"
    answer = await use.answerer.answer(AnswerQuery(f"{user} asks", case.query))
    if answer.evidence.facts:
        yield Measured(ANSWER, drafts, answer.cost, answer.text)
    ranked = replace(use.personalize_defaults, relation_source=RelationSource.RANKED)
    for request, rules in ((PERSONALIZE, use.personalize_defaults), (RANKED, ranked)):
        command = PersonalizeCommand(f"{user} {request}", case.query, case.answer, rules=rules)
        outcome, _ = await personalized(use, command)
        account = outcome.account
        said = f"{account.answer_before} -> {account.answer_after}: {account.relations}"
        yield Measured(request, drafts, outcome.cost, said)


def _said(found: Iterable[Measured], request: str, drafts: bool) -> list[str]:
    return [m.said for m in found if (m.request, m.drafts) == (request, drafts)]


def _line(costs: Sequence[Cost]) -> dict[str, Any]:
    """The medians: passes, tokens, and milliseconds a stage, as far as a request had it."""
    stages: dict[str, list[float]] = {}
    for cost in costs:
        for name, ms in cost.stages_ms:
            stages.setdefault(name, []).append(ms)
    return {
        "requests": len(costs),
        "passes": statistics.median(c.model.forward_passes for c in costs),
        "tokens": {
            "read": statistics.median(c.model.tokens_read for c in costs),
            "generated": statistics.median(c.model.tokens_generated for c in costs),
            "drafted": statistics.median(c.model.tokens_drafted for c in costs),
            "accepted": statistics.median(c.model.tokens_accepted for c in costs),
        },
        "ms": {name: round(statistics.median(times), 1) for name, times in stages.items()},
        "total_ms": round(statistics.median(map(_total_ms, costs)), 1),
    }


def _total_ms(cost: Cost) -> float:
    return sum(ms for _, ms in cost.stages_ms)
