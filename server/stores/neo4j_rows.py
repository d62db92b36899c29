"""Values as the properties of nodes and edges, and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.graph.codec import edit_to_json
from server.graph.concept import Concept, concept_key
from server.graph.edit import Change, Edit
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.cypher import ADDED
from server.stores.view import BaseEdge, BaseSlice
from server.tuning.ports import RequestRecord

# An index takes 8,167 bytes for all its properties together. Keys of 512 typed bytes can be eleven times as long (NFKC).
LONGEST_URI_BYTES = 1_000
_KEPT_CHARACTERS = 200
_CUT = "…#"

Row = dict[str, Any]


def uri_of(key: str) -> str:
    """A concept's key as an indexed property: itself, or cut and ending in its hash where no index would take it."""
    encoded = key.encode()
    if len(encoded) <= LONGEST_URI_BYTES:
        return key
    return f"{key[:_KEPT_CHARACTERS]}{_CUT}{hashlib.sha256(encoded).hexdigest()}"


def concept_of(uri: str, text: str) -> Concept:
    """The concept stored under `uri`."""
    return Concept(concept_key(text) if _CUT in uri else uri, text)


def triple_row(triple: Triple) -> Row:
    """What finds a triple in an index."""
    return {"subject": uri_of(triple.head.key), "relation": triple.relation, "object": uri_of(triple.tail.key)}


def sorted_rows(triples: Iterable[Triple]) -> list[Row]:
    """Triples as rows in the order of their keys, so that all transactions lock in one order."""
    return [triple_row(t) for t in sorted(set(triples))]


def mark_row(user: str, triple: Triple, mark: Mark, change: Change) -> Row:
    """The properties of an overlay edge; those of why are there for people who look."""
    row: Row = {
        "user": user,
        **triple_row(triple),
        "subject_text": triple.head.text,
        "object_text": triple.tail.text,
        "revision": mark.stamp.revision,
        "position": mark.stamp.position,
    }
    if (p := change.probabilities) is not None:
        row |= {
            "retrieval_before": p.retrieval_before,
            "retrieval_after": p.retrieval_after,
            "reasoning": p.reasoning,
            "reasoning_answer_before": p.reasoning_answer_before,
        }
    return row


def marks_of(rows: Iterable[Mapping[str, Any]]) -> dict[Triple, Mark]:
    """Overlay edges as marks."""
    return {_triple(row): _mark(row) for row in rows}


def edits_behind(rows: Iterable[Mapping[str, Any]]) -> dict[Triple, tuple[str, int]]:
    """triple -> (id, time) of the edit that marked it."""
    return {_triple(row): (row["edit"] or "", row["time_ms"] or 0) for row in rows}


def _triple(row: Mapping[str, Any]) -> Triple:
    return Triple(
        concept_of(row["subject"], row["subject_text"]), row["relation"], concept_of(row["object"], row["object_text"])
    )


def _mark(row: Mapping[str, Any]) -> Mark:
    origin = Origin.ADDED if row["type"] == ADDED else Origin.REMOVED
    return Mark(origin, Stamp(row["revision"], row["position"]))


# Edits


def edit_row(user: str, edit: Edit, request: RequestRecord | None) -> Row:
    """The properties of an Edit node. `body` is the edit whole; the others find it, or tell people what it is.

    The lists are one item a change: probabilities that are not known are NaN.
    """
    row: Row = {
        "user": user,
        "revision": edit.revision,
        "id": edit.id,
        "kind": edit.kind.value,
        "time_ms": edit.time_ms,
        "reverts": edit.reverts,
        "body": edit_to_json(edit),
        "concepts": sorted({uri_of(c.key) for change in edit.changes for c in _ends(change.triple)}),
        "touches": [touch(t) for t in dict.fromkeys([*(c.triple for c in edit.changes), *edit.relied_on])],
        "triples": [f"{c.triple.head.text} {c.triple.relation} {c.triple.tail.text}" for c in edit.changes],
        "states_before": [_state(c.before) for c in edit.changes],
        "states_after": [_state(c.after) for c in edit.changes],
        "retrieval_before": [_probability(c, "retrieval_before") for c in edit.changes],
        "retrieval_after": [_probability(c, "retrieval_after") for c in edit.changes],
        "reasoning": [_probability(c, "reasoning") for c in edit.changes],
    }
    if (why := edit.evidence) is not None:
        row |= {
            "query": why.query,
            "answer": why.answer,
            "subject": why.subject,
            "object": why.object,
            "relations": list(why.relations),
            "loss_before": why.loss_before,
            "loss_after": why.loss_after,
            "stop_reason": why.stop_reason.value,
            "answer_before": why.answer_before,
            "answer_after": why.answer_after,
        }
    if request is not None:
        row |= {
            "request_id": request.request_id,
            "content_hash": request.content_hash,
            "response": request.response,
        }
    return row


def touch(triple: Triple) -> str:
    """A triple as one text, by which an edit that changed or relied on it is found."""
    return json.dumps(list(triple_row(triple).values()), ensure_ascii=False)


def _ends(triple: Triple) -> tuple[Concept, Concept]:
    return triple.head, triple.tail


def _state(mark: Mark | None) -> str:
    return "as in the base" if mark is None else f"{mark.origin.value} at {mark.stamp.revision}.{mark.stamp.position}"


def _probability(change: Change, name: str) -> float:
    return math.nan if change.probabilities is None else float(getattr(change.probabilities, name))


# The base


def base_edge(head: Concept, relation: str, row: Mapping[str, Any]) -> BaseEdge:
    """An edge of the base as read from `head`."""
    triple = Triple(head, relation, concept_of(row["uri"], row["text"]))
    return BaseEdge(triple, row["weight"], row["dataset"], row["license"])


def slices_of(head: Concept, rows: Sequence[Mapping[str, Any]], limit: int) -> dict[str, BaseSlice]:
    """The base's triples at `head` by relation: stored and mirrored ones together, the heaviest `limit`."""
    counts: dict[str, int] = {}
    edges: dict[str, list[tuple[int, int, BaseEdge]]] = {}
    for row in rows:
        relation = row["relation"]
        counts[relation] = counts.get(relation, 0) + row["count"]
        edges.setdefault(relation, []).extend(
            (e["side"], e["rank"], base_edge(head, relation, e)) for e in row["edges"]
        )
    slices = {}
    for relation, found in edges.items():
        found.sort(key=lambda e: e[:2])
        if found and found[-1][0]:  # mirrored ones among them
            found.sort(key=lambda e: (-e[2].weight, e[2].triple.tail))
        slices[relation] = BaseSlice(counts[relation], tuple(e for _, _, e in found[:limit]))
    return slices
