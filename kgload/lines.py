"""What a triple is: a line of a graph file, checked in Python.

DuckDB finds the malformed lines of a dump (staging.py); why one is malformed is told from here.
One's own triples are read in Python altogether (rows.py) and checked here.
"""

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
"""Of either sign. The fingerprint counts weights in millionths, as whole numbers of 64 bits."""
MAX_REJECTED_CHARACTERS = 1 << 16
"""Of a line that is kept to be shown to its owner."""
CONCEPTNET_COLUMNS = 5
EXTERNAL = "/r/ExternalURL"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no triple, and why; `lines` of the file are covered by it."""

    number: int
    reason: str
    text: str
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A triple whose texts are as people see them, on one line each; `lines` of the file, counted
    without blank ones, are covered by it."""

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
    """The line is no triple; the message says why."""


def bad_line(number: int, reason: str, text: str) -> BadLine:
    """A line that is rejected, its text cut to what is kept of one."""
    return BadLine(number, reason, text[:MAX_REJECTED_CHARACTERS])


def has_columns(count: int, expected: int) -> str:
    """The reason why a line of `count` columns is rejected."""
    return f"has {count} column{'' if count == 1 else 's'}, not {expected}"


def conceptnet_fault(line: str, *, external_urls: bool = False) -> str:
    """Why a line of ConceptNet's dump is malformed; empty when it is not (or is a link, and those
    are left out)."""
    fields = line.rstrip("\r\n").split("\t")
    if len(fields) != CONCEPTNET_COLUMNS:
        return has_columns(len(fields), CONCEPTNET_COLUMNS)
    _, relation, start, end, metadata = fields
    try:
        if not relation.startswith("/r/"):
            raise NoTriple(f"{relation[:80]!r} is no relation (/r/Name)")
        if relation == EXTERNAL and not external_urls:
            return ""
        checked_relation(relation[3:])
        for text in (
            concept_text(start),
            link_text(end) if relation == EXTERNAL else concept_text(end),
        ):
            checked_concept(text)
        weight_of(metadata)
    except NoTriple as error:
        return str(error)
    return ""


def concept_text(uri: str) -> str:
    """The text of a concept URI: /c/language/text[/part of speech[/sense]]. Raises NoTriple."""
    parts = uri.split("/")
    if len(parts) < 4 or parts[0] or parts[1] != "c" or not parts[2]:
        raise NoTriple(f"{uri[:80]!r} is no concept URI (/c/language/text)")
    return parts[3].replace("_", " ")


def link_text(url: str) -> str:
    """The text of a concept that is an address elsewhere: its underscores escaped, for a text has
    none. Raises NoTriple."""
    if not url.startswith(("http://", "https://")):
        raise NoTriple(f"{url[:80]!r} is no address (http://...)")
    return url.replace("_", "%5F")


def weight_of(metadata: str) -> float:
    """The weight in an edge's JSON metadata, 1 where there is none. Raises NoTriple."""
    try:
        details = json_document(metadata)
    except NoTriple as error:
        raise NoTriple(f"the metadata {error}") from error
    if not isinstance(details, dict):
        raise NoTriple("the metadata is no JSON object")
    return checked_weight(details.get("weight", 1.0))


def json_document(
    text: str, object_of: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """What a JSON text says, with objects made by `object_of`. Raises NoTriple."""
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
        raise NoTriple(f"the weight {str(value)[:40]!r} is no number")
    if not -MAX_WEIGHT <= value <= MAX_WEIGHT:  # not: greater or smaller, for NaN is neither
        raise NoTriple(f"the weight {str(value)[:40]} is out of range")
    return float(value)


def checked_concept(text: str, what: str = "concept") -> Concept:
    """The concept that `text` names, as RPCs and imports take it. Raises NoTriple."""
    try:
        return checks.checked_concept(text, what)
    except InvalidRequest as error:
        raise NoTriple(f"the {what} {error.description}") from error


@lru_cache(maxsize=1 << 12)  # a file has few relations and many lines
def checked_relation(text: str) -> str:
    """`text` as the name of a relation, as RPCs and imports take it. Raises NoTriple."""
    try:
        return checks.checked_relation_name(text, "relation")
    except InvalidRequest as error:
        raise NoTriple(f"the relation {error.description}") from error
