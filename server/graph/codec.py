"""Edits as JSON: the form in which stores keep them and exports carry them.

Reading is strict: whatever an edit cannot be is a MalformedEdit that names the field, so that an import validates all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

from server.errors import InvalidRequest
from server.graph.concept import Concept, concept_key
from server.graph.edit import Change, Edit, EditKind, Evidence, StopReason, TripleProbabilities
from server.graph.triple import Mark, Origin, Stamp, Triple

E = TypeVar("E", bound=Enum)

MAX_CONCEPT_BYTES = 512
MAX_RELATION_BYTES = 64


class MalformedEdit(InvalidRequest):
    """A JSON document that is no edit."""

    reason = "MALFORMED_EDIT"


def edit_to_json(edit: Edit) -> str:
    """The edit as one line of JSON with sorted keys."""
    return json.dumps(_edit(edit), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def edit_from_json(line: str) -> Edit:
    """The edit that `edit_to_json` wrote. Raises MalformedEdit."""
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise MalformedEdit("lines", f"not JSON: {error.msg}") from error
    return _Reader(document).edit()


def _edit(edit: Edit) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": edit.id,
        "revision": edit.revision,
        "kind": edit.kind.value,
        "time_ms": edit.time_ms,
        "changes": [_change(c) for c in edit.changes],
    }
    if edit.evidence is not None:
        document["evidence"] = _evidence(edit.evidence)
    if edit.reverts is not None:
        document["reverts"] = edit.reverts
    if edit.relied_on:
        document["relied_on"] = [_triple(t) for t in edit.relied_on]
    return document


def _change(change: Change) -> dict[str, Any]:
    document: dict[str, Any] = {
        "triple": _triple(change.triple),
        "before": _mark(change.before),
        "after": _mark(change.after),
    }
    if change.probabilities is not None:
        p = change.probabilities
        document["probabilities"] = {
            "retrieval_before": p.retrieval_before,
            "retrieval_after": p.retrieval_after,
            "reasoning": p.reasoning,
            "reasoning_answer_before": p.reasoning_answer_before,
        }
    return document


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "query": evidence.query,
        "answer": evidence.answer,
        "subject": evidence.subject,
        "object": evidence.object,
        "relations": list(evidence.relations),
        "loss_before": _finite(evidence.loss_before),
        "loss_after": _finite(evidence.loss_after),
        "stop_reason": evidence.stop_reason.value,
        "converged": evidence.converged,
        "answer_before": evidence.answer_before,
        "answer_after": evidence.answer_after,
    }


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _triple(triple: Triple) -> list[str]:
    return [triple.head.text, triple.relation, triple.tail.text]


def _mark(mark: Mark | None) -> list[Any] | None:
    return None if mark is None else [mark.origin.value, mark.stamp.revision, mark.stamp.position]


class _Reader:
    """Reads one JSON document as an edit, naming the field that does not fit."""

    def __init__(self, document: Any) -> None:
        self._document = self._mapping(document, "edit")

    def edit(self) -> Edit:
        d = self._document
        return Edit(
            id=self._text(d.get("id"), "id", 64),
            revision=self._whole(d.get("revision"), "revision", 1),
            kind=self._one_of(EditKind, d.get("kind"), "kind"),
            time_ms=self._whole(d.get("time_ms"), "time_ms", 0),
            changes=tuple(self._change(c) for c in self._list(d.get("changes"), "changes")),
            evidence=self._evidence(d["evidence"]) if d.get("evidence") is not None else None,
            reverts=self._text(d["reverts"], "reverts", 64) if d.get("reverts") is not None else None,
            relied_on=tuple(self._triple(t) for t in self._list(d.get("relied_on", []), "relied_on")),
        )

    def _change(self, value: Any) -> Change:
        d = self._mapping(value, "changes")
        p = d.get("probabilities")
        return Change(
            triple=self._triple(d.get("triple")),
            before=self._mark(d.get("before"), "before"),
            after=self._mark(d.get("after"), "after"),
            probabilities=None if p is None else self._probabilities(p),
        )

    def _probabilities(self, value: Any) -> TripleProbabilities:
        d = self._mapping(value, "probabilities")
        before = d.get("reasoning_answer_before")
        return TripleProbabilities(
            retrieval_before=self._number(d.get("retrieval_before"), "retrieval_before"),
            retrieval_after=self._number(d.get("retrieval_after"), "retrieval_after"),
            reasoning=self._number(d.get("reasoning"), "reasoning"),
            reasoning_answer_before=None if before is None else self._number(before, "reasoning_answer_before"),
        )

    def _evidence(self, value: Any) -> Evidence:
        d = self._mapping(value, "evidence")
        return Evidence(
            query=self._text(d.get("query"), "query"),
            answer=self._text(d.get("answer"), "answer"),
            subject=self._text(d.get("subject"), "subject"),
            object=self._text(d.get("object"), "object"),
            relations=tuple(self._text(r, "relations") for r in self._list(d.get("relations"), "relations")),
            loss_before=self._loss(d.get("loss_before"), "loss_before"),
            loss_after=self._loss(d.get("loss_after"), "loss_after"),
            stop_reason=self._one_of(StopReason, d.get("stop_reason"), "stop_reason"),
            converged=bool(d.get("converged")),
            answer_before=self._text(d.get("answer_before"), "answer_before", empty=True),
            answer_after=self._text(d.get("answer_after"), "answer_after", empty=True),
        )

    def _triple(self, value: Any) -> Triple:
        parts = self._list(value, "triple")
        if len(parts) != 3:
            raise MalformedEdit("triple", "is [head, relation, tail]")
        head, relation, tail = (self._text(p, "triple") for p in parts)
        return checked_triple(head, relation, tail, "triple")

    def _mark(self, value: Any, name: str) -> Mark | None:
        if value is None:
            return None
        parts = self._list(value, name)
        if len(parts) != 3:
            raise MalformedEdit(name, 'is null or ["added" or "removed", revision, position]')
        origin = self._one_of(Origin, parts[0], name)
        if origin is Origin.BASE:
            raise MalformedEdit(name, 'is null or ["added" or "removed", revision, position]')
        return Mark(origin, Stamp(self._whole(parts[1], name, 1), self._whole(parts[2], name, 0)))

    def _loss(self, value: Any, name: str) -> float:
        return math.inf if value is None else self._number(value, name)

    @staticmethod
    def _mapping(value: Any, name: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise MalformedEdit(name, "is a JSON object")
        return value

    @staticmethod
    def _list(value: Any, name: str) -> Sequence[Any]:
        if not isinstance(value, list):
            raise MalformedEdit(name, "is a JSON list")
        return value

    @staticmethod
    def _text(value: Any, name: str, limit: int = 1 << 20, *, empty: bool = False) -> str:
        if not isinstance(value, str) or (not value and not empty) or len(value.encode()) > limit:
            raise MalformedEdit(name, f"is a text of at most {limit} bytes" + ("" if empty else ", not empty"))
        return value

    @staticmethod
    def _whole(value: Any, name: str, least: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 53:
            raise MalformedEdit(name, f"is a whole number from {least}")
        return value

    @staticmethod
    def _number(value: Any, name: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise MalformedEdit(name, "is a finite number")
        return float(value)

    @staticmethod
    def _one_of(kind: type[E], value: Any, name: str) -> E:
        try:
            return kind(value)
        except ValueError:
            raise MalformedEdit(name, f"is one of {', '.join(str(e.value) for e in kind)}") from None


def checked_triple(head: str, relation: str, tail: str, field: str) -> Triple:
    """A triple from texts that came from outside, within the limits. Raises InvalidRequest naming `field`."""
    for name, text, limit in (
        ("head", head, MAX_CONCEPT_BYTES),
        ("relation", relation, MAX_RELATION_BYTES),
        ("tail", tail, MAX_CONCEPT_BYTES),
    ):
        checked_text(text, f"{field}.{name}", limit)
    if not concept_key(head) or not concept_key(tail) or not concept_key(relation):
        raise InvalidRequest(field, "head, relation and tail are texts, not blanks")
    return Triple(Concept.of(head), relation.strip(), Concept.of(tail))


def checked_text(text: str, field: str, limit_bytes: int) -> str:
    """`text` stripped. Raises InvalidRequest when it is empty, too long, or holds control characters."""
    stripped = text.strip()
    if not stripped:
        raise InvalidRequest(field, "is empty")
    if len(stripped.encode("utf-8", "surrogatepass")) > limit_bytes:
        raise InvalidRequest(field, f"is longer than {limit_bytes} bytes")
    if any((ord(c) < 32 and c not in "\t\n\r") or c == "\x7f" for c in stripped):
        raise InvalidRequest(field, "holds control characters")
    return stripped
