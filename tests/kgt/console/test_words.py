"""What values are called."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from kgt.console.words import FILTERS, concept, moment, origin, percent, relation
from kgt.v1 import personalization_pb2 as pb


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("Desires", "desires"),
        ("AtLocation", "at location"),
        ("ExternalURL", "external URL"),
        ("dbpedia/knownFor", "dbpedia known for"),
        ("is named", "is named"),
        ("is a Friend of", "is a Friend of"),
    ],
)
def test_a_relation_is_read_as_words(name: str, read: str) -> None:
    assert relation(name) == read


@pytest.mark.parametrize(
    ("probability", "read"),
    [(0, "0%"), (1, "100%"), (0.947, "95%"), (0.004, "under 1%"), (0.9991, "over 99%")],
)
def test_a_probability_is_not_rounded_to_nothing_or_all(probability: float, read: str) -> None:
    assert percent(probability) == read


def test_the_user_is_you() -> None:
    assert (concept("I"), concept("i"), concept("dog")) == ("you", "i", "dog")


def test_a_time_outside_the_calendar_is_none() -> None:
    assert moment(Timestamp(seconds=10**15)) is None


def test_the_origins_are_the_graphs() -> None:
    assert [origin(value) for value in (pb.ORIGIN_ADDED, pb.ORIGIN_REMOVED, pb.ORIGIN_BASE)] == [
        "yours", "removed", "shared",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("fate", pb.Fate.values()),
        ("doubt", pb.Doubt.values()),
        ("kind", pb.EditKind.values()),
        ("stop", pb.StopReason.values()),
    ],
)
def test_every_value_has_words_and_a_newer_one_its_number(name: str, values: list[int]) -> None:
    for value in values[1:]:
        assert not FILTERS[name](value).isdecimal()
    assert FILTERS[name](99) == "99"
