"""How often something is learned from sentences without a personal fact: data/smalltalk.jsonl.

Each sentence is said to the service by a user who has said nothing else, and nothing is committed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.corrections.cases import HALVES
from evaluation.corrections.measuring import server_for
from evaluation.corrections.sets import SETS
from kgt.client import AsyncClient
from kgt.v1 import personalization_pb2 as pb

FILE = Path(__file__).parent / "data" / "smalltalk.jsonl"
_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Sentence:
    """A question, small talk, somebody's opinion or the like, without a fact about the user."""

    id: int
    kind: str
    half: str
    text: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What was learned from a sentence, and what was found in it and not committed."""

    sentence: Sentence
    learned: tuple[str, ...]
    not_given_back: tuple[str, ...]


def read_sentences(half: str = "") -> list[Sentence]:
    """The sentences of a half; all of them where none is named."""
    rows = map(json.loads, FILE.read_text(encoding="utf-8").splitlines())
    return [Sentence(**row) for row in rows if half in ("", row["half"])]


async def measure(sentences: Sequence[Sentence], address: str = "") -> list[Taken]:
    """Say the sentences to the server at `address`, or to one that is started."""
    async with (
        server_for(SETS["learn"], address) as asked,
        AsyncClient(asked, timeout_s=_TIMEOUT_S) as client,
    ):
        return [await _said(client, sentence) for sentence in sentences]


def table(taken: Sequence[Taken]) -> str:
    """What was learned, for people."""
    return "\n".join(
        f"{one.sentence.id} ({one.sentence.kind}): {one.sentence.text!r} -> {list(one.learned)}"
        for one in taken
        if one.learned
    )


def document(half: str, taken: Sequence[Taken]) -> dict[str, Any]:
    """The figures, for programs."""
    return {
        "measurement": "smalltalk",
        "half": half or " and ".join(HALVES),
        "sentences": len(taken),
        "learned_nothing": sum(not one.learned for one in taken),
        "not_given_back": sum(bool(one.not_given_back) for one in taken),
    }


async def _said(client: AsyncClient, sentence: Sentence) -> Taken:
    user = f"smalltalk {sentence.id}"
    response = await client.learn(user=user, text=sentence.text, preview=True)
    by_fate = {fate: tuple(_words(response, fate)) for fate in pb.Fate.values()}
    return Taken(sentence, by_fate[pb.FATE_LEARNED], by_fate[pb.FATE_NOT_GIVEN_BACK])


def _words(response: pb.LearnResponse, fate: int) -> list[str]:
    return [fact.words for fact in response.facts if fact.fate == fate]
