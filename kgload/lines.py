"""The lines of a graph file as values, and the checks that all formats share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from server.errors import InvalidRequest
from server.graph import checks
from server.graph.concept import Concept

MAX_WEIGHT = 1e9
"""Of either sign. The fingerprint counts weights in millionths, as 64-bit integers."""
MAX_REJECTED_CHARACTERS = 1 << 16
"""How much of a malformed line is kept to be shown to its owner."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A malformed line and the reason; it covers `lines` lines of the file."""

    number: int
    reason: str
    text: str
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A triple whose texts are as people see them, each on one line.

    It covers `lines` lines of the file, not counting blank ones.
    """

    head: str
    relation: str
    tail: str
    weight: float = 1.0
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Header:
    """A line that names the columns. It is not counted as read."""

    number: int
    lines: int = 1


class NoTriple(ValueError):
    """The line is not a triple; the message says why."""


def bad_line(number: int, reason: str, text: str) -> BadLine:
    """A malformed line, its text cut to MAX_REJECTED_CHARACTERS."""
    return BadLine(number, reason, text[:MAX_REJECTED_CHARACTERS])


def has_columns(count: int, expected: int) -> str:
    """The reason why a line of `count` columns is rejected."""
    return f"has {count} column{'' if count == 1 else 's'}, not {expected}"


def json_document(
    text: str, object_of: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of a JSON text, with objects made by `object_of`. Raises NoTriple."""
    try:
        return json.loads(text, object_pairs_hook=object_of)
    except json.JSONDecodeError as error:
        raise NoTriple(f"is not JSON: {error.msg}") from error
    except ValueError as error:
        raise NoTriple("is not JSON: a number has too many digits") from error
    except RecursionError as error:
        raise NoTriple("is not JSON: it is nested too deeply") from error


def checked_weight(value: Any) -> float:
    """`value` as a weight: a finite number of a sane size. Raises NoTriple."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoTriple(f"the weight {str(value)[:40]!r} is not a number")
    # Written so that NaN, which is neither smaller nor greater, is out of range too.
    if not -MAX_WEIGHT <= value <= MAX_WEIGHT:
        raise NoTriple(f"the weight {str(value)[:40]} is out of range")
    return float(value)


def checked_concept(text: str, what: str = "concept") -> Concept:
    """The concept that `text` names, by the rules of RPCs and imports. Raises NoTriple."""
    try:
        return checks.checked_concept(text, what)
    except InvalidRequest as error:
        raise NoTriple(f"the {what} {error.description}") from error


@lru_cache(maxsize=1 << 12)  # a file has few relations and many lines
def checked_relation(text: str) -> str:
    """`text` as the name of a relation, by the rules of RPCs and imports. Raises NoTriple."""
    try:
        return checks.checked_relation_name(text, "relation")
    except InvalidRequest as error:
        raise NoTriple(f"the relation {error.description}") from error
