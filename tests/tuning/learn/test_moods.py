"""Which sentences surely state nothing of the user's own."""

from __future__ import annotations

import pytest

from server.tuning.learn.moods import may_state
from training.messages import read_messages

_MOST_MISSED = 3


@pytest.mark.parametrize(
    "sentence",
    [
        "Which planet is the largest?",
        "Please write a story in which Tom lives in Paris.",
        "If I had a dog, I'd call it Rex.",
        "Suppose my brother moved to Rome.",
        "I could be a pilot, for all you know.",
        "I would move to Rome if I could.",
        "My neighbour says that cats are evil.",
        "According to my uncle, chess is easy.",
        "In the novel the doctor lives in Vienna.",
        'Proofread: "My name are Bob and I lives in Leeds."',
    ],
)
def test_nothing_is_stated(sentence: str) -> None:
    assert not may_state(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "I like jazz.",
        "My boss is called Petra, isn't she?",
        "Call me Al.",
        "Nora Fishel is a violinist.",
        "I think my sister is a nurse.",
        "no, he eats only vegetables",
        "Forget that I like jazz.",
    ],
)
def test_something_may_be_stated(sentence: str) -> None:
    assert may_state(sentence)


def test_messages_with_facts_are_hardly_ever_missed() -> None:
    said = [message for message in read_messages() if message.facts]
    missed = [message.text for message in said if not may_state(message.text)]
    assert len(missed) <= _MOST_MISSED, missed
