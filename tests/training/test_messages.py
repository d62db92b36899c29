"""The messages that people write to an assistant, and the facts in them."""

from __future__ import annotations

import json
import re
from collections import Counter

from tests.training.prompts import FACT
from tests.training.test_kinds import asked_in
from training.kinds import plain
from training.messages import FILE, read_messages

MESSAGES = read_messages()


def test_there_are_300_distinct_messages_with_known_fields() -> None:
    assert len({message.text for message in MESSAGES}) == len(MESSAGES) == 300
    for line in FILE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert list(row) in (["message", "facts"], ["message", "facts", "context"])
        assert all(len(fact) == 4 for fact in row["facts"])
    assert all(message.text == message.text.strip() != "" for message in MESSAGES)


def test_every_fact_is_one_line_of_the_learning_template() -> None:
    facts = [fact for message in MESSAGES for fact in message.facts]
    assert [fact for fact in facts if not FACT.fullmatch(fact)] == []
    assert all(len(set(message.facts)) == len(message.facts) for message in MESSAGES)


def test_messages_add_take_back_and_say_nothing_to_learn() -> None:
    signs = Counter(fact[0] for message in MESSAGES for fact in message.facts)
    assert signs["+"] > signs["-"] > 40
    assert sum(not message.facts for message in MESSAGES) > 100
    assert {1, 2, 3} <= {len(message.facts) for message in MESSAGES}


def test_what_a_fact_says_is_in_the_message_or_in_what_was_said_before() -> None:
    for message in MESSAGES:
        said = f"{message.text} {message.context}".casefold()
        for fact in message.facts:
            words = re.findall(r"\w+", fact.rpartition(" | ")[2].casefold())
            assert [word for word in words if word not in said] == [], message.text


def test_some_messages_only_make_sense_after_what_was_said_before() -> None:
    assert 20 < sum(bool(message.context) for message in MESSAGES) < 60


def test_no_message_is_a_case_of_the_evaluation() -> None:
    measured = asked_in("firstperson.jsonl", "query", "paraphrases", "near_misses", "statement")
    measured |= asked_in("everyday.jsonl", "query", "paraphrases", "unrelated")
    assert sum(plain(message.text) in measured for message in MESSAGES) == 0
