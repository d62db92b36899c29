"""The only place that picks concrete classes: from settings to a service that can be called."""

from __future__ import annotations

import asyncio
import threading

from server.errors import InvalidVocabulary
from server.graph.relation import Vocabulary
from server.rpc.service import UseCases, fingerprints
from server.settings import Settings
from server.stores.neo4j import schema as neo4j_schema
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite import check as sqlite_check
from server.stores.sqlite.base import declared_relations, relation_names
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerRules
from server.tuning.facts import RetrievalRules
from server.tuning.history import Historian
from server.tuning.personalize import Personalizer, PersonalizeRules
from server.tuning.ports import GraphStore, LanguageModel
from server.tuning.scoring import ScoringBudget
from server.tuning.transfer import Courier
from server.tuning.writes import Writer


async def vocabulary(settings: Settings) -> Vocabulary:
    """The relations: the settings' file or the built-in ones, those that the base graph declares,
    and those it uses.

    They are read once: a base that takes this one's place while the server runs brings its own at
    the next start. Raises InvalidVocabulary and StoreUnusable.
    """
    login = settings.neo4j_login
    if login is None:
        declared, used = declared_relations(settings.data), relation_names(settings.data)
    else:
        declared, used = (
            await neo4j_schema.declared_relations(login),
            await neo4j_schema.relation_names(login),
        )
    relations = _own_vocabulary(settings)
    return (relations.extended(declared) if declared else relations).with_base_names(used)


def _own_vocabulary(settings: Settings) -> Vocabulary:
    if settings.vocabulary is None:
        return Vocabulary.built_in()
    try:
        return Vocabulary.parse(settings.vocabulary.read_text())
    except OSError as error:
        raise InvalidVocabulary(
            f"KGT_VOCABULARY: {settings.vocabulary} cannot be read: {error.strerror}"
        ) from error


async def open_store(settings: Settings, relations: Vocabulary) -> GraphStore:
    """The graph store. Raises StoreUnusable."""
    if settings.neo4j_login is not None:
        return await Neo4jStore.open(settings.neo4j_login, relations)
    return SqliteStore(settings.data, relations)


async def checked(settings: Settings) -> tuple[list[str], dict[str, int]]:
    """What a check of the store found, in words, and what the store holds. The embedded store may
    be damaged."""
    if settings.neo4j_login is None:
        return await asyncio.to_thread(sqlite_check.check_folder, settings.data)
    store = await Neo4jStore.open(settings.neo4j_login, await vocabulary(settings))
    try:
        return await store.check(), await store.counts()
    finally:
        await store.close()


async def loaded_model(settings: Settings) -> LanguageModel:
    """The language model, loaded on a thread. Whoever stops waiting for it, at Ctrl-C, stops the
    loading too."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(model, settings, stop)
    finally:
        stop.set()


def model(settings: Settings, stop: threading.Event | None = None) -> LanguageModel:
    """The language model, its weights in memory. Raises ModelUnusable, and StartupError once `stop`
    is set."""
    from server.lm.loading import (
        ModelChoice,
        load,
    )  # torch takes seconds to import: only where a model is loaded
    from server.lm.transformers_model import TransformersModel

    choice = ModelChoice(
        settings.model,
        settings.adapter,
        settings.cache,
        settings.device,
        settings.dtype,
        settings.threads,
    )
    return TransformersModel(load(choice, stop), settings.queue, settings.token_budget)


def use_cases(
    settings: Settings, graph: GraphStore, language_model: LanguageModel, relations: Vocabulary
) -> UseCases:
    """Everything the service calls, over a store and a model."""
    budget = ScoringBudget(
        settings.scored_mass, settings.max_scored_triples or language_model.max_scored_triples
    )
    rules = AnswerRules(
        retrieval=RetrievalRules(settings.personal_weight, settings.facts),
        normalization=settings.normalization,
        max_tokens=settings.max_tokens,
        neighborhood_limit=budget.triples + settings.max_removed,
    )
    writer = Writer(graph)
    answerer = Answerer(graph, language_model, relations, rules)
    return UseCases(
        store=graph,
        model=language_model,
        vocabulary=relations,
        writer=writer,
        answerer=answerer,
        personalizer=Personalizer(answerer, writer),
        historian=Historian(graph, relations, writer),
        courier=Courier(
            graph, relations, writer, lambda: fingerprints(graph, language_model, relations)
        ),
        personalize_defaults=PersonalizeRules(
            k=settings.k, budget=budget, max_removed=settings.max_removed
        ),
    )
