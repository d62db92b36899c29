"""The largest hubs, asked and corrected: what is read and scored keeps to the budget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.graph.concept import Concept
from server.graph.triple import Triple
from server.settings import Settings
from server.stores.rules.view import BaseSlice
from server.stores.sqlite.base import BaseReader
from server.tuning.templates import FACT_SEPARATOR, REASONING
from testbed.bases import BaseTriple, build_base
from tests.fixed_model import FixedModel
from tests.rpc.running import ENJOY, PHRASES, VOCABULARY, Running, running

EDGES = 12_000
BUDGET = FixedModel.max_scored_triples
MAX_REMOVED: int = Settings.model_fields["max_removed"].default
OPPOSITE = "What is the opposite of a dog?"
BASE = [
    *(BaseTriple(Triple.of("dog", "Desires", f"thing {n}"), float(n)) for n in range(EDGES)),
    *(BaseTriple(Triple.of(f"cat {n}", "Antonym", "dog"), float(n)) for n in range(EDGES)),
    *(BaseTriple(Triple.of(f"owner {n}", "HasA", "dog"), float(n)) for n in range(EDGES)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    build_base(folder, BASE, VOCABULARY)
    return folder


@pytest.fixture
async def service(folder: Path) -> AsyncIterator[Running]:
    antonym = VOCABULARY.phrase("Antonym")
    async with running(folder, FixedModel({**PHRASES, OPPOSITE: antonym})) as started:
        yield started


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many triples of each relation each read of a neighborhood fetched."""
    counts: list[int] = []
    slices = BaseReader.slices

    def counted(self: BaseReader, head: Concept, limit: int) -> dict[str, BaseSlice]:
        found = slices(self, head, limit)
        counts.extend(len(part.edges) for part in found.values())
        return found

    monkeypatch.setattr(BaseReader, "slices", counted)
    return counts


def scored(model: FixedModel) -> set[str]:
    """The prompts of reasoning over one triple of the base that the model was asked to score."""
    opening = REASONING.partition("{")[0]
    return {
        b.prompt
        for b in model.scored
        if b.prompt.startswith(opening)
        and ("thing " in b.prompt or "cat " in b.prompt)
        and FACT_SEPARATOR not in b.prompt
    }


@pytest.mark.parametrize(
    ("query", "heaviest"),
    [(ENJOY, f"thing {EDGES - 1}"), (OPPOSITE, f"cat {EDGES - 1}")],
    ids=["at the head", "at the tail"],
)
async def test_a_hub_is_asked_and_corrected_within_the_budget(
    query: str, heaviest: str, service: Running, read: list[int]
) -> None:
    user = heaviest
    assert (await service.client.answer(user=user, query=query)).text == heaviest
    service.model.scored.clear()
    response = await service.client.personalize(user=user, query=query, answer="vegetables")
    assert response.converged
    assert 0 < len(scored(service.model)) <= BUDGET + MAX_REMOVED, "each that goes lets another in"
    assert len(service.model.scored) < BUDGET + 20, "what may be added, and relations"
    assert (await service.client.answer(user=user, query=query)).text == "vegetables"
    assert read, "the base was read"
    assert max(read) <= 2 * BUDGET, "of 12,000 triples"
