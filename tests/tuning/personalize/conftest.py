"""A dog with a few triples, and a model that answers from the first fact with the right phrase."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerRules
from testbed.bases import BaseTriple, build_base
from tests.fixed_model import FixedModel
from tests.tuning.personalize.dogs import FACTS, QUERY

VOCABULARY = Vocabulary.built_in()


@pytest.fixture
def model() -> FixedModel:
    return FixedModel({QUERY: VOCABULARY.phrase("Desires")})


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    build_base(store.folder, [BaseTriple(Triple.of(*fact)) for fact in FACTS], VOCABULARY)
    yield store
    await store.close()


@pytest.fixture
def answerer(store: SqliteStore, model: FixedModel) -> Answerer:
    return Answerer(store, model, VOCABULARY, AnswerRules())
