"""Lines of a graph file to triples. A line that is none is a BadLine, counted and named, never silently lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from server.errors import InvalidRequest
from server.graph.codec import checked_triple
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite_base import BaseTriple

COLUMNS = ("head", "relation", "tail", "weight")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no triple, and why."""

    number: int
    reason: str


def conceptnet_lines(lines: Iterable[str], vocabulary: Vocabulary) -> Iterator[BaseTriple | BadLine]:
    """Lines as in ConceptNet's assertions dump: URI, relation, start, end, JSON metadata, tab-separated."""
    for number, line in enumerate(lines, start=1):
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) != 5:
            yield BadLine(number, f"has {len(fields)} columns, not 5")
            continue
        _, relation, start, end, metadata = fields
        try:
            details = json.loads(metadata)
            yield BaseTriple(
                _checked(_concept_text(start), relation.removeprefix("/r/"), _concept_text(end), vocabulary),
                float(details.get("weight", 1.0)),
                str(details.get("dataset", "")),
                str(details.get("license", "")),
            )
        except (ValueError, TypeError, AttributeError, InvalidRequest) as error:
            yield BadLine(number, str(error))


def column_lines(
    lines: Iterable[str], columns: Sequence[str], vocabulary: Vocabulary
) -> Iterator[BaseTriple | BadLine]:
    """Tab-separated lines whose `columns` are head, relation, tail and perhaps weight, in any order."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) < len(columns):
            yield BadLine(number, f"has {len(fields)} columns, not {len(columns)}")
            continue
        row = dict(zip(columns, fields, strict=False))
        try:
            weight = float(row.get("weight") or 1.0)
            yield BaseTriple(_checked(row["head"], row["relation"], row["tail"], vocabulary), weight)
        except (ValueError, InvalidRequest) as error:
            yield BadLine(number, str(error))


def _checked(head: str, relation: str, tail: str, vocabulary: Vocabulary) -> Triple:
    triple = checked_triple(head, relation, tail, "triple")
    return Triple(triple.head, vocabulary.canonical_name(triple.relation), triple.tail)


def _concept_text(uri: str) -> str:
    """The text of a concept URI: /c/language/text[/part of speech[/sense]]."""
    parts = uri.split("/")
    if len(parts) < 4 or parts[0] or parts[1] != "c":
        raise ValueError(f"{uri[:80]!r} is no concept URI (/c/language/text)")
    return parts[3].replace("_", " ")
