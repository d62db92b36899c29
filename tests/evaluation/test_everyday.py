"""The everyday corrections, through the whole service with a model of known answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.everyday import EverydayCase, build_graph, read_cases, run
from server import assemble
from server.graph.relation import Vocabulary
from server.rpc.service import UseCases
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from tests.fixed_model import FixedModel

VOCABULARY = Vocabulary.built_in()
DOG = EverydayCase(
    id=1,
    topic="pets",
    query="What does my dog enjoy?",
    subject="dog",
    answer="vegetables",
    paraphrases=("What should I feed my dog?", "What did the whale say?"),
    unrelated="Where do you find a dog?",
    base_facts=(
        ("dog", "Desires", "meat"),
        ("dog", "AtLocation", "kennel"),
        ("whale", "CapableOf", "sing"),
    ),
)
PHRASES = {
    DOG.query: "likes",
    DOG.paraphrases[0]: "likes",
    DOG.unrelated: "is located in",
    DOG.paraphrases[1]: "can",
}


@pytest.fixture
async def use(tmp_path: Path) -> AsyncIterator[UseCases]:
    build_graph(tmp_path, [DOG], VOCABULARY)
    store = SqliteStore(tmp_path, VOCABULARY)
    yield assemble.use_cases(Settings(), store, FixedModel(PHRASES), VOCABULARY)
    await store.close()


async def test_a_correction_is_followed_in_its_own_words_and_where_a_paraphrase_finds_its_subject(
    use: UseCases,
) -> None:
    (result,) = await run(use, [DOG])
    assert result.found_subject
    assert result.converged
    assert (result.answer, result.followed) == ("vegetables", True)
    assert result.paraphrases_followed == (True, False), "the whale is somebody else"
    assert (result.unrelated_before, result.unrelated_after, result.kept) == (
        "kennel",
        "kennel",
        True,
    )
    assert (result.added, result.removed) == (1, 1)
    assert result.forward_passes > 0


async def test_another_subject_than_the_labelled_one_is_said(use: UseCases) -> None:
    (result,) = await run(use, [replace(DOG, subject="puppy")])
    assert not result.found_subject


async def test_each_case_is_a_user_of_its_own(use: UseCases) -> None:
    first, second = await run(use, [DOG, replace(DOG, id=2, answer="fish")])
    assert (first.answer, second.answer) == ("vegetables", "fish")
    assert second.removed == 1, "the meat of the base and no correction of the first"


def test_the_cases_that_ship_are_whole_and_told_apart() -> None:
    cases = read_cases()
    assert len({case.id for case in cases}) == len(cases) == 150
    for case in cases:
        assert len(case.paraphrases) == 2
        assert all((case.topic, case.query, case.subject, case.answer, case.unrelated))
        assert all(relation in VOCABULARY for _, relation, _ in case.base_facts)
        assert case.answer not in [tail for _, _, tail in case.base_facts], (
            "a correction says something new"
        )
