"""A real server on a real channel, over the embedded store and a model with known answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from kgt.client import AsyncClient
from kgt.client.access import Access
from kgt.v1 import personalization_pb2 as pb
from server import assemble
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.rpc.identity.callers import Callers
from server.rpc.load import Load
from server.rpc.rates import Rates
from server.rpc.serving import Probes
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import Sight
from server.tuning.watching import UNSEEN
from server.writing.writes import Writes
from testbed.bases import BaseTriple, build_base
from testbed.serving import served
from tests.fixed_model import FixedModel

VOCABULARY = Vocabulary.built_in()

ENJOY = "What does a dog enjoy?"
FEED = "What should I feed my dog?"
WHERE = "Where do you find a dog?"
NAME = "What is my dog called?"
LUNA = "What does Luna enjoy?"
PHRASES = {
    ENJOY: "likes",
    FEED: "likes",
    LUNA: "likes",
    WHERE: "is located in",
    NAME: "is named",
    "My dog is named": "is named",
}

BASE = [
    BaseTriple(Triple.of("dog", relation, tail), weight, "/d/test", "cc0")
    for relation, tails in {
        "Desires": ["meat", "bones", "long walks"],
        "AtLocation": ["kennel", "park", "sofa"],
        "IsA": ["pet"],
        "Synonym": ["hound"],
    }.items()
    for weight, tail in zip((4.0, 3.0, 2.0), tails, strict=False)
]


@dataclass(frozen=True, slots=True)
class Running:
    """A running service and what it is made of."""

    client: AsyncClient
    address: str
    store: SqliteStore
    model: FixedModel
    probes: Probes
    writes: Writes


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    model: FixedModel | None = None,
    load: Load | None = None,
    *,
    vocabulary: Vocabulary = VOCABULARY,
    callers: Callers | None = None,
    credentials: grpc.ServerCredentials | None = None,
    access: Access | None = None,
    rates: Rates | None = None,
    sight: Sight = UNSEEN,
    **settings: Any,
) -> AsyncIterator[Running]:
    """A service over the dog's graph in `folder`, and a client that has `access` to it."""
    if not (folder / "base.db").exists():
        build_base(folder, BASE, VOCABULARY)
    model = model or FixedModel(PHRASES)
    store = SqliteStore(folder, vocabulary)
    options: Any = settings
    use_cases = assemble.use_cases(Settings(**options), store, model, vocabulary, sight)
    try:
        async with (
            served(use_cases, load, callers, credentials, rates, sight=sight) as (address, probes),
            AsyncClient(address, timeout_s=20, **(access or Access())) as client,
        ):
            yield Running(client, address, store, model, probes, use_cases.writes)
    finally:
        await store.close()


async def say(client: AsyncClient, query: str, user: str = "alice", **arguments: Any) -> str:
    """The text of the answer to `query`."""
    return str((await client.answer(user=user, query=query, **arguments)).text)


def triples(changes: Iterable[pb.TripleChange]) -> list[tuple[str, str, str]]:
    """The triples of an edit's changes as (head, relation, tail)."""
    return [(c.triple.head, c.triple.relation, c.triple.tail) for c in changes]
