"""Values as the properties of nodes and edges, and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from server.errors import DataLoss, UnreadableRecord
from server.graph.codec import require_readable
from server.graph.concept import Concept, concept_key, legacy_spellings
from server.graph.edit import Change, Edit, UnreadableEdit
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.neo4j.cypher import ADDED
from server.stores.rules.records import read_edit
from server.stores.rules.view import BaseEdge, BaseSlice
from server.tuning.ports import PersonalFact, RequestRecord

# An index takes 8,167 bytes for all its properties together. Keys of 512 typed bytes can be eleven
# times as long (NFKC).
LONGEST_URI_BYTES = 1_000
_KEPT_CHARACTERS = 200
_CUT = "…#"

Row = dict[str, Any]


def uri_of(key: str) -> str:
    """A concept's key as an indexed property: itself, or cut and ending in its hash where no index
    would take it."""
    encoded = key.encode()
    if len(encoded) <= LONGEST_URI_BYTES:
        return key
    return f"{key[:_KEPT_CHARACTERS]}{_CUT}{hashlib.sha256(encoded).hexdigest()}"


def concept_of(uri: str, text: str) -> Concept:
    """The concept stored under `uri`. A base loaded under older rules keeps it under another key
    than today's."""
    if _CUT in uri:
        return Concept(concept_key(text), text)
    return Concept(uri if uri.isascii() else concept_key(uri), text)


def spellings(key: str) -> list[str]:
    """Where a base may keep the concept of `key`, the likeliest place first."""
    return [uri_of(spelling) for spelling in (key, *legacy_spellings(key))]


def asked_rows(triples: Iterable[Triple], symmetric: Collection[str]) -> list[Row]:
    """Triples to look for in the base: each `at` its place, once for each spelling of its ends."""
    rows = []
    for at, triple in enumerate(triples):
        pairs = list(product(spellings(triple.head.key), spellings(triple.tail.key)))
        if len(pairs) > 1 and triple.relation in symmetric:
            pairs += [(tail, head) for head, tail in pairs]
        rows += [
            {"at": at, "subject": s, "relation": triple.relation, "object": o} for s, o in pairs
        ]
    return rows


# What is indexed of a user: digests, since Neo4j keeps the bytes of an index's entry after it is
# deleted.


def digest(*parts: str) -> str:
    """A text of 32 characters that stands for `parts` in an index and from which they cannot be
    read."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def owner_of(user: str) -> str:
    """What an index knows a user by."""
    return digest(user)


def place_of(user: str, key: str) -> str:
    """What an index knows a concept of a user's overlay by."""
    return digest(user, "concept", uri_of(key))


def triple_of(user: str, triple: Triple) -> str:
    """What an index knows a triple of a user's overlay by."""
    return digest(user, "triple", *triple_row(triple).values())


def edit_key(user: str, edit_id: str) -> str:
    """What an index knows an edit by."""
    return digest(user, "edit", edit_id)


def request_key(user: str, request_id: str) -> str:
    """What an index knows a request by."""
    return digest(user, "request", request_id)


NEWEST = "~"
"""An age after all others."""


def age_of(user: str, triple: Triple, stamp: Stamp) -> str:
    """A stamp as a text that sorts as stamps do; no two marks of a user have the same."""
    return f"{stamp.revision:016d}.{stamp.position:016d}.{triple_of(user, triple)[:8]}"


def triple_row(triple: Triple) -> Row:
    """A triple by its keys."""
    return {
        "subject": uri_of(triple.head.key),
        "relation": triple.relation,
        "object": uri_of(triple.tail.key),
    }


def concept_rows(user: str, concepts: Iterable[Concept]) -> list[Row]:
    """Concepts that an overlay needs, in the order of their keys."""
    return [
        {"key": place_of(user, c.key), "uri": uri_of(c.key), "text": c.text}
        for c in sorted(concepts)
    ]


def mark_row(user: str, triple: Triple, mark: Mark, change: Change | None = None) -> Row:
    """The properties of an overlay edge; those of why are there for people who look."""
    row: Row = {
        "owner": owner_of(user),
        "head": place_of(user, triple.head.key),
        "tail": place_of(user, triple.tail.key),
        "age": age_of(user, triple, mark.stamp),
        "user": user,
        **triple_row(triple),
        "triple": triple_of(user, triple),
        "subject_text": triple.head.text,
        "object_text": triple.tail.text,
        "revision": mark.stamp.revision,
        "position": mark.stamp.position,
    }
    if change is not None and (p := change.probabilities) is not None:
        row |= {
            "retrieval_before": p.retrieval_before,
            "retrieval_after": p.retrieval_after,
            "reasoning": p.reasoning,
            "reasoning_answer_before": p.reasoning_answer_before,
        }
    return row


def marks_of(rows: Iterable[Mapping[str, Any]]) -> dict[Triple, Mark]:
    """Overlay edges as marks. Raises DataLoss for one that was damaged."""
    return {triple: mark for triple, mark, _, _ in map(_read_mark, rows)}


def facts_of(rows: Iterable[Mapping[str, Any]]) -> list[PersonalFact]:
    """Overlay edges as facts. Raises DataLoss for one that was damaged."""
    return [PersonalFact(*read) for read in map(_read_mark, rows)]


def _read_mark(row: Mapping[str, Any]) -> tuple[Triple, Mark, str, int]:
    """(triple, mark, the id of the edit behind it, the time of that edit)."""
    texts = [row[name] for name in ("subject", "subject_text", "relation", "object", "object_text")]
    numbers = [row["revision"], row["position"]]
    edit_id, time_ms = row["edit"] or "", row["time_ms"] or 0
    whole = all(isinstance(n, int) and n >= 0 for n in (*numbers, time_ms))
    if (
        not whole
        or not all(isinstance(text, str) and text for text in texts)
        or not isinstance(edit_id, str)
    ):
        raise UnreadableRecord(*_shown(row))
    subject, subject_text, relation, object_, object_text = texts
    triple = Triple(concept_of(subject, subject_text), relation, concept_of(object_, object_text))
    origin = Origin.ADDED if row["type"] == ADDED else Origin.REMOVED
    return triple, Mark(origin, Stamp(*numbers)), edit_id, time_ms


def _shown(row: Mapping[str, Any]) -> tuple[str, int]:
    """The id and revision of the edit behind a damaged edge, as far as they can be read."""
    known = read_edit(None, row["edit"], row["revision"], 0)
    return known.id, known.revision


def response_of(row: Mapping[str, Any]) -> RequestRecord | None:
    """The kept response that a row of RESPONSE shows. Raises DataLoss for one that was damaged."""
    if not row["answered"]:
        return None
    request_id, content_hash, response = row["request_id"], row["content_hash"], row["response"]
    if (
        not isinstance(request_id, str)
        or not isinstance(content_hash, str)
        or not isinstance(response, bytes | bytearray)
    ):
        raise DataLoss(
            "the record of a request was damaged; stop the server and run `python -m server check`"
        )
    return RequestRecord(request_id, content_hash, bytes(response))


# Edits


def edit_row(user: str, edit: Edit, request: RequestRecord | None) -> Row:
    """The properties of an Edit node. `body` is the edit whole; the others find it, or tell people
    what it is.

    The lists are one item a change: probabilities that are not known are NaN. Raises Internal for
    an edit that could not be read back.
    """
    body = require_readable(edit)
    row: Row = {
        "owner": owner_of(user),
        "key": edit_key(user, edit.id),
        "undoing": None if edit.reverts is None else edit.revision,
        "user": user,
        "revision": edit.revision,
        "id": edit.id,
        "kind": edit.kind.value,
        "time_ms": edit.time_ms,
        "reverts": edit.reverts,
        "body": body,
        "bytes": len(body.encode()),
        **finding_row(edit),
        "triples": [
            f"{c.triple.head.text} {c.triple.relation} {c.triple.tail.text}" for c in edit.changes
        ],
        "states_before": [_state(c.before) for c in edit.changes],
        "states_after": [_state(c.after) for c in edit.changes],
        "retrieval_before": [_probability(c, "retrieval_before") for c in edit.changes],
        "retrieval_after": [_probability(c, "retrieval_after") for c in edit.changes],
        "reasoning": [_probability(c, "reasoning") for c in edit.changes],
    }
    if (why := edit.account) is not None:
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
            "request": request_key(user, request.request_id),
            "request_id": request.request_id,
            "content_hash": request.content_hash,
            "response": request.response,
        }
    return row


def finding_row(edit: Edit) -> Row:
    """The properties of an Edit node by which edits of a concept or a triple are found."""
    return {
        "concepts": sorted(
            {uri_of(c.key) for change in edit.changes for c in _ends(change.triple)}
        ),
        "touches": [
            touch(t) for t in dict.fromkeys([*(c.triple for c in edit.changes), *edit.relied_on])
        ],
    }


def edits_of(rows: Iterable[Mapping[str, Any]]) -> list[Edit | UnreadableEdit]:
    """Rows of Edit nodes as edits."""
    return [read_edit(row["body"], row["id"], row["revision"], row["time_ms"]) for row in rows]


def touch(triple: Triple) -> str:
    """A triple as one text, by which an edit that changed or relied on it is found."""
    return json.dumps(list(triple_row(triple).values()), ensure_ascii=False)


def _ends(triple: Triple) -> tuple[Concept, Concept]:
    return triple.head, triple.tail


def _state(mark: Mark | None) -> str:
    return (
        "as in the base"
        if mark is None
        else f"{mark.origin.value} at {mark.stamp.revision}.{mark.stamp.position}"
    )


def _probability(change: Change, name: str) -> float:
    return math.nan if change.probabilities is None else float(getattr(change.probabilities, name))


# The base


def base_edge(head: Concept, relation: str, row: Mapping[str, Any]) -> BaseEdge:
    """An edge of the base as read from `head`."""
    triple = Triple(head, relation, concept_of(row["uri"], row["text"]))
    return BaseEdge(triple, row["weight"], row["dataset"], row["license"])


def slices_of(head: Concept, rows: Sequence[Mapping[str, Any]], limit: int) -> dict[str, BaseSlice]:
    """The base's triples at `head` by relation: stored and mirrored ones together, the heaviest
    `limit`."""
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
