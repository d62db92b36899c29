"""Sentences without a personal fact: the set, and how often something is learned from them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evaluation import smalltalk
from evaluation.__main__ import main
from evaluation.corrections.cases import DEVELOPMENT, HALVES, UNSEEN
from evaluation.corrections.serving import served
from server.settings import Settings
from testbed.bases import build_base
from tests.fixed_model import FixedModel
from tests.rpc.running import BASE, VOCABULARY

SENTENCES = smalltalk.read_sentences()


def test_there_are_100_distinct_sentences_of_eight_kinds_in_two_halves() -> None:
    assert [sentence.id for sentence in SENTENCES] == list(range(1, 101))
    assert len({sentence.text.casefold() for sentence in SENTENCES}) == 100
    assert Counter(sentence.half for sentence in SENTENCES) == dict.fromkeys(HALVES, 50)
    kinds = Counter(sentence.kind for sentence in SENTENCES)
    assert len(kinds) == 8
    assert min(kinds.values()) >= 10
    assert {sentence.half for sentence in smalltalk.read_sentences(UNSEEN)} == {UNSEEN}


async def test_what_is_learned_is_counted_and_listed(tmp_path: Path) -> None:
    build_base(tmp_path, BASE, VOCABULARY)
    model = FixedModel({"My dog is named": "is named"})
    said = [
        smalltalk.Sentence(1, "joke", DEVELOPMENT, "My dog is named Rex."),
        smalltalk.Sentence(2, "question", DEVELOPMENT, "Is a dog named Rex?"),
    ]
    async with served(Settings(), tmp_path, model) as address:
        taken = await smalltalk.measure(said, address)
    assert [one.learned for one in taken] == [("my dog is named Rex",), ()]
    assert "1 (joke): 'My dog is named Rex.'" in smalltalk.table(taken)
    figures = smalltalk.document(DEVELOPMENT, taken)
    assert (figures["sentences"], figures["learned_nothing"]) == (2, 1)


def test_the_last_line_is_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def loaded(_: Any) -> FixedModel:
        return FixedModel({})

    monkeypatch.setattr("server.assemble.loaded_model", loaded)
    assert main(["smalltalk", "--half", UNSEEN]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["sentences"], figures["learned_nothing"]) == (50, 50)
