"""Which relations have one value at a time."""

from __future__ import annotations

import pytest

from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.learn.single import SingleValued

SINGLE = SingleValued.built_in(Vocabulary.built_in())


@pytest.mark.parametrize(
    ("head", "relation", "contradict"),
    [
        ("boss", "is called", True),
        ("sons", "are called", False),
        ("I", "AtLocation", True),
        ("I", "works as", True),
        ("I", "speaks", False),
        ("I", "Desires", False),
        ("I", "HasA", False),
        ("I", "HasProperty", False),
        ("favourite colour", "HasProperty", True),
        ("password", "HasProperty", True),
        ("birthday", "IsA", True),
        ("birthday", "Desires", False),
    ],
)
def test_another_value_contradicts_where_there_is_one(
    head: str, relation: str, contradict: bool
) -> None:
    one, other = Triple.of(head, relation, "this"), Triple.of(head, relation, "that")
    assert SINGLE.contradict(one, other) is contradict
    assert not SINGLE.contradict(one, one)
    assert not SINGLE.contradict(one, Triple.of("another", relation, "that"))
    assert not SINGLE.contradict(one, Triple.of(head, "knows", "that"))
