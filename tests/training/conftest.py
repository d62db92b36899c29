"""The training examples and questions, made from a small data folder that the tests write."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.graph.relation import Vocabulary
from tests.training.reference_data import write_reference_data
from training.examples import Example, ExampleMaker
from training.question import Question
from training.sources import Sources

VOCABULARY = Vocabulary.built_in()
COUNT = 1500


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reference_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def sources(folder: Path) -> Sources:
    return Sources(folder)


@pytest.fixture(scope="session")
def examples(sources: Sources) -> list[Example]:
    return list(ExampleMaker(sources, VOCABULARY, seed=17).examples(COUNT))


@pytest.fixture(scope="session")
def questions(sources: Sources) -> list[Question]:
    maker = ExampleMaker(sources, VOCABULARY, seed=17)
    return [maker.questions.draw() for _ in range(COUNT)]
