"""A line of a graph file, checked in Python: the definition of what a triple is.

DuckDB finds the malformed lines of a dump (staging.py); why one is malformed, and its number, are told from here. One's
own triples are read here altogether.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.errors import InvalidRequest
from server.graph.codec import MAX_CONCEPT_BYTES, MAX_RELATION_BYTES, checked_text
from server.graph.concept import concept_key

COLUMNS = ("head", "relation", "tail", "weight")
MAX_WEIGHT = 1e9
EXTERNAL = "/r/ExternalURL"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no triple, and why."""

    number: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line that is one: texts as given, within the limits."""

    head: str
    relation: str
    tail: str
    weight: float = 1.0


class NoTriple(ValueError):
    """The line is no triple; the message says why."""


def conceptnet_fault(line: str, *, external_urls: bool = False) -> str:
    """Why a line of ConceptNet's dump is malformed; empty when it is not (or is a link, and those are left out)."""
    fields = line.rstrip("\r\n").split("\t")
    if len(fields) != 5:
        return f"has {len(fields)} columns, not 5"
    _, relation, start, end, metadata = fields
    try:
        if not relation.startswith("/r/"):
            raise NoTriple(f"{relation[:80]!r} is no relation (/r/Name)")
        if relation == EXTERNAL and not external_urls:
            return ""
        checked(relation[3:], "relation", MAX_RELATION_BYTES)
        for text in (concept_text(start), link_text(end) if relation == EXTERNAL else concept_text(end)):
            checked(text, "concept", MAX_CONCEPT_BYTES)
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
    """The text of a concept that is an address elsewhere: its underscores escaped, for a text has none. Raises NoTriple."""
    if not url.startswith(("http://", "https://")):
        raise NoTriple(f"{url[:80]!r} is no address (http://...)")
    return url.replace("_", "%5F")


def weight_of(metadata: str) -> float:
    """The weight in an edge's JSON metadata, 1 where there is none. Raises NoTriple."""
    try:
        details = json.loads(metadata)
    except json.JSONDecodeError as error:
        raise NoTriple(f"the metadata is not JSON: {error.msg}") from error
    if not metadata.startswith("{"):
        raise NoTriple("the metadata is no JSON object")
    return checked_weight(details.get("weight", 1.0))


def checked_weight(value: Any) -> float:
    """`value` as a weight: a finite number of a sane size. Raises NoTriple."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoTriple(f"the weight {str(value)[:40]!r} is no number")
    if not math.isfinite(value) or abs(value) > MAX_WEIGHT:
        raise NoTriple(f"the weight {value!r} is out of range")
    return float(value)


def checked(text: str, what: str, limit_bytes: int) -> str:
    """`text` within the limits that every store keeps. Raises NoTriple."""
    try:
        text = checked_text(text, what, limit_bytes)
    except InvalidRequest as error:
        raise NoTriple(f"the {what} {error.description}") from error
    if not concept_key(text):
        raise NoTriple(f"the {what} is blank")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise NoTriple(f"the {what} holds half a character")  # JSON can write a lone surrogate, UTF-8 cannot
    return text


def tabbed_rows(lines: Iterable[str], columns: Sequence[str]) -> Iterator[Row | BadLine]:
    """Tab-separated lines whose `columns` are head, relation, tail and perhaps weight, in any order."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _row(number, line, lambda line=line: _by_name(line.rstrip("\r\n").split("\t"), columns))


def comma_rows(lines: Iterable[str], columns: Sequence[str]) -> Iterator[Row | BadLine]:
    """CSV (RFC 4180). A first line that names the columns is taken at its word and skipped."""
    reader = csv.reader(lines, strict=True)
    number = 0
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield BadLine(reader.line_num, f"is no CSV: {error}", "")
            return  # a quote that is never closed swallows the rest
        number = reader.line_num
        if fields is None:
            return
        if number == 1 and {f.strip().casefold() for f in fields} >= {"head", "relation", "tail"}:
            columns = [f.strip().casefold() for f in fields]
        elif fields:
            yield _row(number, ",".join(fields), lambda fields=fields, c=columns: _by_name(fields, c))


def json_rows(lines: Iterable[str], columns: Sequence[str]) -> Iterator[Row | BadLine]:
    """JSON lines: objects with head, relation, tail and perhaps weight, or lists in the order of `columns`."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _row(number, line, lambda line=line: _from_json(line, columns))


def _row(number: int, line: str, read: Any) -> Row | BadLine:
    try:
        row: Mapping[str, Any] = read()
        texts = {}
        for name, limit in (("head", MAX_CONCEPT_BYTES), ("relation", MAX_RELATION_BYTES), ("tail", MAX_CONCEPT_BYTES)):
            if not isinstance(row.get(name), str):
                raise NoTriple(f"the {name} is missing or no text")
            texts[name] = checked(row[name], name, limit)
        weight = row.get("weight", 1.0)
        return Row(**texts, weight=checked_weight(weight))
    except NoTriple as error:
        return BadLine(number, str(error), line.rstrip("\r\n"))


def _by_name(fields: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
    if len(fields) < len(columns):
        raise NoTriple(f"has {len(fields)} columns, not {len(columns)}")
    row: dict[str, Any] = {c: f for c, f in zip(columns, fields, strict=False) if c in COLUMNS}
    if "weight" in row:
        try:
            row["weight"] = float(row["weight"]) if row["weight"].strip() else 1.0
        except ValueError as error:
            raise NoTriple(f"the weight {row['weight'][:40]!r} is no number") from error
    return row


def _from_json(line: str, columns: Sequence[str]) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise NoTriple(f"is not JSON: {error.msg}") from error
    if isinstance(document, list):
        return dict(zip(columns, document, strict=False))
    if not isinstance(document, dict):
        raise NoTriple("is neither a JSON object nor a list")
    return {name: value for name, value in document.items() if name in COLUMNS and value is not None}
