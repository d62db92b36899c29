"""What the service's values are called on a page for people.

A value that only a newer service knows is named by its number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from kgt.v1 import personalization_pb2 as pb

USER_CONCEPT = "I"
"""The concept at which the service files what is about the user as such."""

_FATES: Mapping[int, str] = {
    pb.FATE_LEARNED: "Learned",
    pb.FATE_KNOWN: "Known already",
    pb.FATE_NOT_GIVEN_BACK: "Not kept, because KGT could not give it back",
    pb.FATE_TAKEN_BACK: "Taken back",
    pb.FATE_NOT_THERE: "Nothing to take back: it was not known",
}
_DOUBTS: Mapping[int, str] = {
    pb.DOUBT_FORM: "it could not be put into a fact",
    pb.DOUBT_NAME: "a part of it cannot be the name of anything",
    pb.DOUBT_PRONOUN: "it is not clear who is meant",
    pb.DOUBT_INVENTED: "the fact found in it has something that was not said",
    pb.DOUBT_CONTRADICTORY: "it was said and taken back at once",
    pb.DOUBT_IMPERSONAL: "it is not about you",
    pb.DOUBT_DENIED: "the text says that it is not so",
}
_KINDS: Mapping[int, str] = {
    pb.EDIT_KIND_PERSONALIZE: "Correction",
    pb.EDIT_KIND_LEARN: "Told",
    pb.EDIT_KIND_FACTS: "Entered as facts",
    pb.EDIT_KIND_REVERT: "Undo",
    pb.EDIT_KIND_IMPORT: "Import",
    pb.EDIT_KIND_UNREADABLE: "Damaged",
}
_STOPS: Mapping[int, str] = {
    pb.STOP_REASON_ALREADY_CORRECT: "The answer was right already.",
    pb.STOP_REASON_OVERTOOK: "Your answer became more probable than every other one.",
    pb.STOP_REASON_LOSS: "The loss became small enough.",
    pb.STOP_REASON_EXHAUSTED: "Nothing was left to change.",
}
_ORIGINS: Mapping[int, str] = {pb.ORIGIN_ADDED: "yours", pb.ORIGIN_REMOVED: "removed"}
_OF_ALL = "shared"
_JOINTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_/]")


def relation(name: str) -> str:
    """A relation as one reads it: "at location" for "AtLocation". The user's own are words."""
    if " " in name:
        return name
    return " ".join(
        word if word.isupper() and len(word) > 1 else word.lower() for word in _JOINTS.split(name)
    )


def concept(name: str) -> str:
    """A concept, or "you" for the user as such."""
    return "you" if name == USER_CONCEPT else name


def origin(value: int) -> str:
    """Whose a triple is: yours, removed or shared. Style sheet and graph use it, too."""
    return _ORIGINS.get(value, _OF_ALL)


def percent(probability: float) -> str:
    """A probability: 0.947 is "95%". A small one is not rounded to nothing, nor a large to all."""
    if 0 < probability < 0.01:
        return "under 1%"
    if 0.99 < probability < 1:
        return "over 99%"
    return f"{probability:.0%}"


def moment(timestamp: Timestamp) -> datetime | None:
    """The time in UTC; None if it lies outside the calendar."""
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def has(message: Any, field: str) -> bool:
    """Whether an optional field of a message is set."""
    return bool(message.HasField(field))


def _named(names: Mapping[int, str]) -> Callable[[int], str]:
    return lambda value: names.get(value, str(value))


FILTERS: dict[str, Callable[..., Any]] = {
    "relation": relation,
    "concept": concept,
    "origin": origin,
    "percent": percent,
    "moment": moment,
    "fate": _named(_FATES),
    "doubt": _named(_DOUBTS),
    "kind": _named(_KINDS),
    "stop": _named(_STOPS),
}
TESTS: dict[str, Callable[..., bool]] = {
    "having": has,
    "correction": lambda edit: edit.kind == pb.EDIT_KIND_PERSONALIZE,
    "told": lambda edit: edit.kind == pb.EDIT_KIND_LEARN,
    "undo": lambda edit: edit.kind == pb.EDIT_KIND_REVERT,
    "damaged": lambda edit: edit.kind == pb.EDIT_KIND_UNREADABLE,
}
