"""What is drawn for the learning template's adapter, and what it is never trained on."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from server.tuning.learn.lines import read_lines
from server.tuning.templates import learning_prompt
from tests.training.test_kinds import asked_in
from training.examples import learning_example
from training.kinds import plain, read_kinds
from training.messages import Message
from training.statements import FOLDER, Statements, written

_STATEMENTS = Statements(5)
DRAWN = [_STATEMENTS.message() for _ in range(1500)]
WRITTEN = {message.text for message in written(held_out=False)}


def test_all_written_messages_are_of_one_form_and_distinct() -> None:
    rows = [
        json.loads(line)
        for path in sorted(FOLDER.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    assert len({row["message"] for row in rows}) == len(rows) > 1000
    for row in rows:
        assert list(row) in (["message", "facts"], ["message", "facts", "context"])
        assert all(len(fact) == 4 and fact[0] in "+-" for fact in row["facts"])


def test_some_are_kept_from_training_and_none_is_a_case_of_the_evaluation() -> None:
    kept = {message.text for message in written(held_out=True)}
    trained = {message.text for message in written(held_out=False)}
    assert 80 < len(kept) < 200 < len(trained)
    assert kept.isdisjoint(trained)
    measured = asked_in("firstperson.jsonl", "query", "paraphrases", "near_misses", "statement")
    measured |= asked_in("everyday.jsonl", "query", "paraphrases", "unrelated")
    measured |= asked_in("smalltalk.jsonl", "text")
    assert measured.isdisjoint(map(plain, kept | trained))


def test_facts_are_lines_that_the_service_reads() -> None:
    for message in DRAWN:
        example = learning_example(message)
        lines = read_lines(example.target)
        assert lines.unread == ()
        assert len(lines.read) == len(message.facts)
        assert example.prompt == learning_prompt(message.text, message.context)


def test_what_a_fact_says_is_in_the_message_or_in_what_was_said_before() -> None:
    for message in DRAWN:
        said = f"{message.text} {message.context}".casefold()
        for fact in message.facts:
            words = re.findall(r"\w+", fact.rpartition(" | ")[2].casefold())
            assert [word for word in words if word not in said] == [], message.text


def test_all_kinds_of_messages_are_drawn() -> None:
    signs = Counter(fact[0] for message in DRAWN for fact in message.facts)
    assert signs["+"] > signs["-"] > 100
    assert 150 < sum(not message.facts for message in DRAWN) < 600
    assert sum(bool(message.context) for message in DRAWN) > 100
    assert max(len(message.facts) for message in DRAWN) > 3
    assert any(message.text.islower() for message in DRAWN)


def test_what_is_held_out_of_the_kinds_is_not_drawn() -> None:
    held_out = {kind.relation for kind in read_kinds() if kind.is_held_out}
    held_out -= {kind.relation for kind in read_kinds() if not kind.is_held_out}
    assert held_out
    drawn = [message for message in DRAWN if message.text not in WRITTEN]
    relations = {fact.split(" | ")[1] for message in drawn for fact in message.facts}
    of_written = {f.split(" | ")[1] for m in written(held_out=False) for f in m.facts}
    assert (relations - of_written).isdisjoint(held_out)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_draws_the_same(seed: int) -> None:
    def some() -> list[Message]:
        statements = Statements(seed)
        return [statements.message() for _ in range(30)]

    assert some() == some()
