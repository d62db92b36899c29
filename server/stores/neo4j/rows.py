"""Values as the properties of nodes and edges, and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from server.errors import UnreadableRecord
from server.graph.codec import require_readable
from server.graph.concept import Concept, concept_key, legacy_spellings
from server.graph.edit import Change, Edit, UnreadableEdit
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.neo4j.cypher import ADDED
from server.stores.rules.concepts import BaseConcept, all_concepts
from server.stores.rules.erasures import erasure_bucket
from server.stores.rules.records import read_edit, read_response, read_snapshot
from server.stores.rules.revisions import snapshot_without_edits
from server.stores.rules.view import BaseEdge, BaseSlice, base_slice
from server.tuning.ports import PersonalFact, RequestRecord, Snapshot

LONGEST_URI_BYTES = 1_000
"""How long an indexed key may be.

An index takes 8,167 bytes for all its properties together. The key of a text of 512 bytes can be
eleven times as long (NFKC)."""
_KEPT_CHARACTERS = 200
_CUT = "…#"

Row = dict[str, Any]


def uri_of(key: str) -> str:
    """A concept's key as an indexed property: itself, or cut and ending in its hash.

    It is cut if no index would take it.
    """
    encoded = key.encode()
    if len(encoded) <= LONGEST_URI_BYTES:
        return key
    return f"{key[:_KEPT_CHARACTERS]}{_CUT}{hashlib.sha256(encoded).hexdigest()}"


def concept_of(uri: str, text: str) -> Concept:
    """The concept stored under `uri`.

    A base that was loaded under older rules keeps it under another key than today's.
    """
    if _CUT in uri:
        return Concept(concept_key(text), text)
    return Concept(uri if uri.isascii() else concept_key(uri), text)


def spellings(key: str) -> list[str]:
    """The places where a base may keep the concept of `key`, the likeliest first."""
    return [uri_of(spelling) for spelling in (key, *legacy_spellings(key))]


def asked_rows(triples: Iterable[Triple], symmetric: Collection[str]) -> list[Row]:
    """Triples to look for in the base: a row for each spelling of a triple's ends.

    `at` is the triple's place among `triples`.
    """
    rows = []
    for at, triple in enumerate(triples):
        pairs = list(product(spellings(triple.head.key), spellings(triple.tail.key)))
        if len(pairs) > 1 and triple.relation in symmetric:
            pairs += [(tail, head) for head, tail in pairs]
        rows += [
            {"at": at, "subject": s, "relation": triple.relation, "object": o} for s, o in pairs
        ]
    return rows


# What is indexed about a user are digests, because Neo4j keeps the bytes of an index's entry after
# it is deleted.


def digest(*parts: str) -> str:
    """A text of 32 characters that stands for `parts` in an index and does not reveal them."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def who(user: str) -> Row:
    """The parameters of every statement about a user."""
    return {"owner": owner_of(user), "bucket": erasure_bucket(user)}


def owner_of(user: str) -> str:
    """What stands for a user in an index."""
    return digest(user)


def place_of(user: str, key: str) -> str:
    """What stands for a concept of a user's overlay in an index."""
    return digest(user, "concept", uri_of(key))


def triple_of(user: str, triple: Triple) -> str:
    """What stands for a triple of a user's overlay in an index."""
    return digest(user, "triple", *triple_row(triple).values())


def edit_key(user: str, edit_id: str) -> str:
    """What stands for an edit in an index."""
    return digest(user, "edit", edit_id)


def request_key(user: str, request_id: str) -> str:
    """What stands for a request in an index."""
    return digest(user, "request", request_id)


NEWEST = "~"
"""An age after all others."""


def age_of(user: str, triple: Triple, stamp: Stamp) -> str:
    """A mark's stamp as a text that sorts as stamps do. No two marks of a user have the same."""
    return f"{stamp.revision:016d}.{stamp.position:016d}.{triple_of(user, triple)[:8]}"


def triple_row(triple: Triple) -> Row:
    """A triple by its keys."""
    return {
        "subject": uri_of(triple.head.key),
        "relation": triple.relation,
        "object": uri_of(triple.tail.key),
    }


def concept_rows(user: str, concepts: Iterable[Concept]) -> list[Row]:
    """The concepts that an overlay needs, in the order of their keys."""
    return [
        {"key": place_of(user, c.key), "uri": uri_of(c.key), "text": c.text}
        for c in sorted(concepts)
    ]


def mark_row(
    user: str,
    triple: Triple,
    mark: Mark,
    change: Change | None = None,
    edit: Edit | None = None,
) -> Row:
    """The properties of an overlay edge. `edit` is the one behind the mark, if it is at hand.

    Those of the change, about probabilities and whose fact it is, are for people who look.
    """
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
    if change is not None and change.scope is not None and change.scope.owned:
        row["owned"] = True
    if edit is not None:
        row |= {"edit": edit.id, "time_ms": edit.time_ms}
    return row


def overlay_rows(user: str, marks: Sequence[tuple[Triple, Mark, Row]]) -> Row:
    """The parameters of a statement that puts marks, each of which comes with its properties.

    `concepts` are their ends. Each row of `added` and `deleted` has the places of a mark's head and
    tail among them, its properties, and the revision of the edit behind it if they do not name it.
    """
    concepts = concept_rows(user, all_concepts(triple for triple, _, _ in marks))
    place = {concept["key"]: at for at, concept in enumerate(concepts)}
    rows: dict[Origin, list[list[Any]]] = {Origin.ADDED: [], Origin.REMOVED: []}
    for _, mark, row in marks:
        sought = None if "edit" in row else mark.stamp.revision
        rows[mark.origin].append([place[row["head"]], place[row["tail"]], row, sought])
    return {"concepts": concepts, "added": rows[Origin.ADDED], "deleted": rows[Origin.REMOVED]}


def marks_of(rows: Iterable[Mapping[str, Any]]) -> dict[Triple, Mark]:
    """Overlay edges as marks. Raises UnreadableRecord for a damaged one."""
    return {triple: mark for triple, mark, _, _ in map(_read_mark, rows)}


def facts_of(rows: Iterable[Mapping[str, Any]]) -> list[PersonalFact]:
    """Overlay edges as facts. Raises UnreadableRecord for a damaged one."""
    return [PersonalFact(*read) for read in map(_read_mark, rows)]


def _read_mark(row: Mapping[str, Any]) -> tuple[Triple, Mark, str, int]:
    """(triple, mark, id of the edit behind it, time of that edit). Raises UnreadableRecord."""
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
    """(id, revision) of the edit behind a damaged edge, as far as they can be read."""
    known = read_edit(None, row["edit"], row["revision"], 0)
    return known.id, known.revision


def response_of(row: Mapping[str, Any]) -> RequestRecord | None:
    """The kept response in a row of RESPONSE, if there is one. Raises DataLoss."""
    if not row["answered"]:
        return None
    return read_response(row["request_id"], row["content_hash"], row["response"])


def standing_of(row: Mapping[str, Any]) -> Snapshot:
    """Where a user stands, from a row that says so. Raises DataLoss."""
    if row["overlay_id"] is None:
        return snapshot_without_edits(row["epoch"])
    return read_snapshot(row["overlay_id"], row["latest"])


# Edits


def edit_row(user: str, edit: Edit, request: RequestRecord | None) -> Row:
    """The properties of an Edit node.

    `body` is the whole edit. The others are for finding it, or for people who look. The lists have
    one item for each change, and a probability that is not known is NaN. Raises Internal for an
    edit that could not be read back.
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
    changed = [change.triple for change in edit.changes]
    touched = dict.fromkeys([*changed, *edit.relied_on])
    return {
        "concepts": sorted({uri_of(concept.key) for concept in all_concepts(changed)}),
        "touches": [touch(triple) for triple in touched],
    }


def edits_of(rows: Iterable[Mapping[str, Any]]) -> list[Edit | UnreadableEdit]:
    """Rows of Edit nodes as edits."""
    return [read_edit(row["body"], row["id"], row["revision"], row["time_ms"]) for row in rows]


def touch(triple: Triple) -> str:
    """A triple as one text, by which an edit that changed or relied on it is found."""
    return json.dumps(list(triple_row(triple).values()), ensure_ascii=False)


def _state(mark: Mark | None) -> str:
    if mark is None:
        return "as in the base"
    return f"{mark.origin.value} at {mark.stamp.revision}.{mark.stamp.position}"


def _probability(change: Change, name: str) -> float:
    return math.nan if change.probabilities is None else float(getattr(change.probabilities, name))


# The base


def base_edge(head: Concept, relation: str, row: Mapping[str, Any]) -> BaseEdge:
    """An edge of the base as read from `head`."""
    triple = Triple(head, relation, concept_of(row["uri"], row["text"]))
    return BaseEdge(triple, row["weight"], row["dataset"], row["license"])


def base_concept(row: Mapping[str, Any]) -> BaseConcept:
    """What a row of CONCEPTS says about a concept of the base."""
    forms = tuple(concept_of(form["uri"], form["text"]).key for form in row["forms"])
    return BaseConcept(row["text"] or "", row["retrievable"], forms)


def slices_of(head: Concept, rows: Sequence[Mapping[str, Any]], limit: int) -> dict[str, BaseSlice]:
    """The base's triples at `head` by relation, at most `limit` of each.

    A relation has up to two rows: one for the triples stored at `head`, and one for symmetric
    triples seen from their tail.
    """
    counts: dict[str, int] = {}
    sides: dict[str, tuple[list[Row], list[Row]]] = {}
    for row in rows:
        relation = row["relation"]
        counts[relation] = counts.get(relation, 0) + row["count"]
        stored, mirrored = sides.setdefault(relation, ([], []))
        for edge in row["edges"]:
            (mirrored if edge["side"] else stored).append(edge)
    return {
        relation: base_slice(
            counts[relation],
            _by_rank(head, relation, stored),
            _by_rank(head, relation, mirrored),
            limit,
        )
        for relation, (stored, mirrored) in sides.items()
    }


def _by_rank(head: Concept, relation: str, rows: list[Row]) -> list[BaseEdge]:
    rows.sort(key=lambda row: int(row["rank"]))
    return [base_edge(head, relation, row) for row in rows]
