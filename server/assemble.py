"""The only place that picks concrete classes: from settings to the use cases."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from server.errors import InvalidSetting, InvalidVocabulary, ModelUnusable
from server.graph.relation import Vocabulary
from server.lm.folders import DEFAULT_MODEL
from server.lm.replicas.address import SCHEME, ReplicasAddress
from server.rpc.identity.callers import Anyone, Callers
from server.rpc.identity.certificates import CertificateCallers
from server.rpc.identity.key_address import KeyAddress
from server.rpc.identity.keys import KeyFile
from server.rpc.identity.tokens import TokenCallers
from server.rpc.service import UseCases
from server.settings import Settings
from server.stores.neo4j import schema as neo4j_schema
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite.base import declared_relations, relation_names
from server.stores.sqlite.check import check_folder
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerRules
from server.tuning.facts import RetrievalRules
from server.tuning.fingerprints import fingerprints
from server.tuning.history import Historian
from server.tuning.learn.learner import Learner
from server.tuning.personalize.command import PersonalizeRules
from server.tuning.personalize.personalizer import Personalizer
from server.tuning.ports import GraphStore, LanguageModel, Sight, StoreCounts
from server.tuning.retrieve import Librarian
from server.tuning.scoring import ScoringBudget
from server.tuning.transfer import Courier
from server.tuning.watching import UNSEEN
from server.writing.erasing import Erasing
from server.writing.quotas import Room
from server.writing.turns import UserTurns
from server.writing.writes import Writes

if TYPE_CHECKING:
    from server.lm.loading import ModelChoice

PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"


async def vocabulary(settings: Settings) -> Vocabulary:
    """The relations: those of the settings' file or the built-in ones, and the base graph's.

    The base graph declares relations and uses relations. They are read once: if another base takes
    its place while the server runs, its relations are read at the next start. Raises
    InvalidVocabulary and StoreUnusable.
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


async def checked(settings: Settings) -> tuple[list[str], StoreCounts]:
    """What a check of the store found, in words, and how much the store holds.

    The embedded store is checked as files, since a damaged one may not open.
    """
    if settings.neo4j_login is None:
        return await asyncio.to_thread(check_folder, settings.data)
    store = await Neo4jStore.open(settings.neo4j_login, await vocabulary(settings))
    try:
        return await store.check(), await store.counts()
    finally:
        await store.close()


def callers(settings: Settings) -> Callers:
    """How the identity of callers is found. Raises InvalidSetting for files that cannot be used."""
    if settings.auth_names is not None and settings.auth == "mtls":
        return CertificateCallers(settings.auth_names)
    if settings.auth == "jwt":
        named = settings.auth_keys
        keys = (
            KeyAddress(named)
            if settings.keys_have_an_address
            else KeyFile(Path(named).expanduser())
        )
        return TokenCallers(settings.token_rules, keys)
    return Anyone()


def log_formatter(settings: Settings) -> logging.Formatter:
    """What makes lines of the log. Raises InvalidSetting without the extra that it needs."""
    if settings.log_format == "plain":
        return logging.Formatter(PLAIN)
    try:
        from server.telemetry.logs import formatter
    except ModuleNotFoundError as error:
        raise _needs_telemetry("KGT_LOG_FORMAT") from error
    return formatter(settings.log_format)


def sight(settings: Settings) -> Sight:
    """What watches the server: nothing, unless a setting asks for it.

    Raises InvalidSetting without the extra that it needs, and StartupError.
    """
    is_structured = settings.log_format != "plain"  # its lines have the ids of calls
    if not (settings.otlp_endpoint or settings.metrics_address or is_structured):
        return UNSEEN
    try:
        from server.telemetry.exports import opened
    except ModuleNotFoundError as error:
        raise _needs_telemetry("KGT_OTLP_ENDPOINT and KGT_METRICS_ADDRESS") from error
    return opened(settings.otlp_endpoint, settings.metrics_address)


def sight_of_replicas(settings: Settings) -> Callable[[], Sight] | None:
    """What opens the sight of a replica in its process, without any secret; None if nothing does.

    Several replicas may run on one machine, so they have no port for Prometheus. Raises
    InvalidSetting without the extra that it needs.
    """
    if not settings.otlp_endpoint:
        return None
    try:
        from server.telemetry.exports import opened
    except ModuleNotFoundError as error:
        raise _needs_telemetry("KGT_OTLP_ENDPOINT") from error
    return partial(opened, settings.otlp_endpoint, "", "kgt-replica")


def _needs_telemetry(setting: str) -> InvalidSetting:
    return InvalidSetting(f"{setting}: needs the extra `telemetry`: pip install 'kgt[telemetry]'")


async def loaded_model(settings: Settings, sight: Sight = UNSEEN) -> LanguageModel:
    """The language model, loaded on a thread. Cancelling this stops the loading too."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(model, settings, stop, sight)
    finally:
        stop.set()


def model(
    settings: Settings, stop: threading.Event | None = None, sight: Sight = UNSEEN
) -> LanguageModel:
    """The language model: on this machine with its weights in memory, or on another server.

    Raises ModelUnusable, and StartupError once `stop` is set.
    """
    if settings.model.startswith(SCHEME):
        return _replicated(settings.model)
    address = settings.remote_model
    if address is None:
        return _local_model(settings, model_choice(settings), stop, sight)
    from server.lm.remote.loading import RemoteChoice, connected

    key = settings.model_key.get_secret_value() if settings.model_key is not None else ""
    choice = RemoteChoice(address, key, settings.tokenizer, settings.cache, settings.queue)
    of_keys = replace(model_choice(settings), model=DEFAULT_MODEL)
    return connected(
        choice, lambda: _local_model(settings, of_keys, stop, sight), stop, sight=sight
    )


def _local_model(
    settings: Settings, choice: ModelChoice, stop: threading.Event | None, sight: Sight
) -> LanguageModel:
    # torch takes seconds to import, so it is imported only where a model is loaded.
    from server.lm.loading import load
    from server.lm.transformers_model import TransformersModel

    return TransformersModel(
        load(choice, stop),
        settings.queue,
        settings.token_budget,
        settings.prompt_share,
        sight=sight,
    )


def _replicated(address: str) -> LanguageModel:
    """The model whose replicas run on Ray Serve. Raises ModelUnusable."""
    try:
        from server.lm.replicas.client import ReplicatedModel
    except ModuleNotFoundError as error:
        raise ModelUnusable(
            "KGT_MODEL: ray://... needs Ray; install it with `pip install '.[server,ray]'`"
        ) from error
    return ReplicatedModel.connect(ReplicasAddress.parse(address))


def model_choice(settings: Settings) -> ModelChoice:
    """Which model the settings name, and how it is to be loaded."""
    from server.lm.loading import ModelChoice

    return ModelChoice(
        settings.model,
        settings.adapter,
        settings.cache,
        settings.device,
        settings.dtype,
        settings.threads,
    )


def use_cases(
    settings: Settings,
    graph: GraphStore,
    language_model: LanguageModel,
    relations: Vocabulary,
    sight: Sight = UNSEEN,
) -> UseCases:
    """The use cases, over a store and a model."""
    graph = sight.store(graph)
    budget = ScoringBudget(
        settings.scored_mass, settings.max_scored_triples or language_model.max_scored_triples
    )
    rules = AnswerRules(
        retrieval=RetrievalRules(settings.facts, settings.floor),
        normalization=settings.normalization,
        max_tokens=settings.max_tokens,
        neighborhood_limit=budget.triples + settings.max_removed,
    )
    answerer = Answerer(graph, language_model, relations, rules)
    named_fingerprints = partial(fingerprints, graph, language_model, relations)
    turns = UserTurns()
    sight.gauge("kgt.answers.memory", lambda: answerer.memories.bytes)
    sight.gauge("kgt.facts.memory", lambda: answerer.retriever.recalls.bytes)
    return UseCases(
        store=graph,
        model=language_model,
        vocabulary=relations,
        fingerprints=named_fingerprints,
        answerer=answerer,
        librarian=Librarian(answerer),
        personalizer=Personalizer(answerer),
        personalize_defaults=PersonalizeRules(
            k=settings.k, budget=budget, max_removed=settings.max_removed
        ),
        learner=Learner(answerer),
        historian=Historian(graph),
        courier=Courier(graph, relations, named_fingerprints),
        writes=Writes(graph, turns, Room(graph, settings.quotas)),
        erasing=Erasing(graph, turns, answerer),
    )
