"""What the tests of recall share: keys written out by hand, four numbers of length 1, and facts."""

from __future__ import annotations

import numpy as np

from server.graph.edit import Scope
from server.graph.triple import Triple
from server.tuning.key_rows import packed
from server.tuning.ports import Key
from server.tuning.recall import Recalled, UserFacts
from server.tuning.recalls import Recalls

MODEL = "this model"
FLOOR = 0.7
NURSE, PILOT = Triple.of("I", "works as", "nurse"), Triple.of("I", "works as", "pilot")
CARROTS = Triple.of("dog", "Desires", "carrots")
JOB, WORK = "What's my profession?", "What do I do for work?"


def key(*numbers: float) -> Key:
    vector = np.array([*numbers, 0, 0, 0, 0][:4], np.float32)
    unit: Key = vector / np.linalg.norm(vector)
    return unit


ABOUT_WORK, ABOUT_DOGS = key(1), key(0, 1)


def scope(query: str, about: Key | None = None, fingerprint: str = MODEL) -> Scope:
    return Scope(query, packed(about), fingerprint) if about is not None else Scope(query)


async def facts(recalls: Recalls, at_revision: int | None = None, user: str = "ann") -> UserFacts:
    return await recalls.of(user, MODEL, at_revision)


def triples(found: list[Recalled]) -> list[Triple]:
    return [recalled.fact.triple for recalled in found]


def about(known: UserFacts, asked: Key, *named: str) -> list[Triple]:
    return triples(known.about(asked, FLOOR, named))
