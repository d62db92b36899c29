"""Edits as JSON, the form in which stores keep them and exports carry them.

`edit_from_json` reads every edit that this or an earlier version wrote, and refuses everything else
with a MalformedEdit that names the field. What may come in from outside is a narrower question,
answered by `server.graph.checks`.

Why the reader is written by hand: docs/decisions/0015-json-into-values.md.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NoReturn, TypeVar

from server.errors import Internal, InvalidRequest
from server.graph.characters import bytes_of, has_half_character, is_control
from server.graph.checks import MAX_CONCEPT_BYTES, MAX_ID_BYTES, MAX_RELATION_BYTES
from server.graph.concept import Concept, concept_key
from server.graph.edit import (
    Account,
    Change,
    Edit,
    EditKind,
    Scope,
    StopReason,
    TripleProbabilities,
)
from server.graph.triple import Mark, Origin, Stamp, Triple

E = TypeVar("E", bound=Enum)

MAX_EDIT_BYTES = 3 << 20
"""The most bytes of an edit as JSON.

Together with what goes around it, it fits the 4 MiB that a gRPC client takes by default.
"""
_MAX_KEY_TEXT_BYTES = 1 << 16
"""The longest key as base64, of a model that is 24,576 numbers wide."""
_MAX_TEXT_BYTES = 1 << 20
"""The longest text that any version stored."""
_MAX_WHOLE = 1 << 53
"""Whole numbers below this are the same in every JSON reader."""
_TRIPLE_LIMITS = (MAX_CONCEPT_BYTES, MAX_RELATION_BYTES, MAX_CONCEPT_BYTES)


class MalformedEdit(InvalidRequest):
    """A JSON document that is not an edit."""

    reason = "MALFORMED_EDIT"


def edit_to_json(edit: Edit) -> str:
    """The edit as one line of JSON, with sorted keys."""
    return json.dumps(
        _edit(edit), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def edit_from_json(line: str, concept: Callable[[str], Concept] = Concept.of) -> Edit:
    """The edit that `edit_to_json` wrote. Raises only MalformedEdit, whatever `line` is.

    `concept` turns a text into the concept that it names: with `legacy_concept` an old log is read
    as the service that wrote it did.
    """
    try:
        document = json_document(line)
    except NotJson as error:
        raise MalformedEdit("edit", str(error)) from error
    return _Reader(concept).edit(document)


def require_readable(edit: Edit) -> str:
    """The edit as JSON, checked to read back as the same edit. Raises Internal where it would not.

    Stores write edits only through here, so no record is ever written that cannot be read.
    """
    try:
        line = edit_to_json(edit)
        back = edit_from_json(line)
    except (InvalidRequest, ValueError) as error:  # ValueError: NaN, which JSON cannot write
        raise Internal("an edit would not read back unchanged; nothing was written") from error
    if back != edit or _texts(back) != _texts(edit):
        raise Internal("an edit would not read back unchanged; nothing was written")
    return line


def _texts(edit: Edit) -> list[tuple[str, str]]:
    """How the edit's concepts are shown, which comparing edits leaves out."""
    triples = [change.triple for change in edit.changes]
    triples += edit.relied_on
    return [(triple.head.text, triple.tail.text) for triple in triples]


# JSON


class NotJson(ValueError):
    """A text that is not one JSON document (RFC 8259). The message never repeats the text."""


def json_document(text: str) -> Any:
    """The document in `text`. Raises NotJson.

    Stricter than json.loads: NaN and Infinity are refused, and so is a name given twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except NotJson:
        raise
    except json.JSONDecodeError as error:
        raise NotJson(f"is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise NotJson("cannot be read as JSON: it is nested too deeply") from error
    except ValueError as error:  # Python reads whole numbers of up to 4,300 digits
        raise NotJson("cannot be read as JSON: a number has too many digits") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson("cannot be read as JSON: an object has a name twice")
    return members


def _refuse_constant(name: str) -> NoReturn:  # noqa: ARG001 - the parser passes it
    raise NotJson("is not JSON: NaN and Infinity are not numbers in JSON")


# Writing


def _edit(edit: Edit) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": edit.id,
        "revision": edit.revision,
        "kind": edit.kind.value,
        "time_ms": edit.time_ms,
        "changes": [_change(change) for change in edit.changes],
    }
    if edit.account is not None:
        document["evidence"] = _account(edit.account)
    if edit.reverts is not None:
        document["reverts"] = edit.reverts
    if edit.relied_on:
        document["relied_on"] = [_triple(triple) for triple in edit.relied_on]
    if edit.message:
        document["message"] = edit.message
    return document


def _change(change: Change) -> dict[str, Any]:
    document: dict[str, Any] = {
        "triple": _triple(change.triple),
        "before": _mark(change.before),
        "after": _mark(change.after),
    }
    if change.probabilities is not None:
        probabilities = change.probabilities
        document["probabilities"] = {
            "retrieval_before": probabilities.retrieval_before,
            "retrieval_after": probabilities.retrieval_after,
            "reasoning": probabilities.reasoning,
            "reasoning_answer_before": probabilities.reasoning_answer_before,
        }
    if change.scope is not None:
        document["scope"] = _scope(change.scope)
    return document


def _scope(scope: Scope) -> dict[str, Any]:
    document: dict[str, Any] = {"query": scope.query}
    if scope.key:
        document |= {
            "key": base64.b64encode(scope.key).decode("ascii"),
            "fingerprint": scope.fingerprint,
        }
    if scope.owned:
        document["owned"] = True
    if scope.answered != 1:
        document["answered"] = scope.answered
    return document


def _account(account: Account) -> dict[str, Any]:
    return {
        "query": account.query,
        "answer": account.answer,
        "subject": account.subject,
        "object": account.object,
        "relations": list(account.relations),
        "loss_before": _finite(account.loss_before),
        "loss_after": _finite(account.loss_after),
        "stop_reason": account.stop_reason.value,
        "converged": account.converged,
        "answer_before": account.answer_before,
        "answer_after": account.answer_after,
    }


def _finite(loss: float) -> float | None:
    """A loss as JSON: null where it is infinite."""
    return loss if math.isfinite(loss) else None


def _triple(triple: Triple) -> list[str]:
    return [triple.head.text, triple.relation, triple.tail.text]


def _mark(mark: Mark | None) -> list[Any] | None:
    return None if mark is None else [mark.origin.value, mark.stamp.revision, mark.stamp.position]


# Reading


class _Reader:
    """Turns a JSON document into an edit. Each method reads one kind of value."""

    def __init__(self, concept: Callable[[str], Concept]) -> None:
        self._concept = concept

    def edit(self, value: Any) -> Edit:
        document = _mapping(value, "edit")
        account, reverts = document.get("evidence"), document.get("reverts")
        return Edit(
            id=_text(document.get("id"), "id", MAX_ID_BYTES),
            revision=_whole(document.get("revision"), "revision", least=1),
            kind=_one_of(EditKind, document.get("kind"), "kind"),
            time_ms=_whole(document.get("time_ms"), "time_ms", least=0),
            changes=tuple(map(self._change, _list(document.get("changes"), "changes"))),
            account=None if account is None else _account_of(account),
            reverts=None if reverts is None else _text(reverts, "reverts", MAX_ID_BYTES),
            relied_on=tuple(map(self._triple, _list(document.get("relied_on", []), "relied_on"))),
            message=_text(document.get("message", ""), "message", may_be_empty=True),
        )

    def _change(self, value: Any) -> Change:
        document = _mapping(value, "changes")
        probabilities, scope = document.get("probabilities"), document.get("scope")
        return Change(
            triple=self._triple(document.get("triple")),
            before=_mark_of(document.get("before"), "before"),
            after=_mark_of(document.get("after"), "after"),
            probabilities=None if probabilities is None else _probabilities_of(probabilities),
            scope=None if scope is None else _scope_of(scope),
        )

    def _triple(self, value: Any) -> Triple:
        parts = _list(value, "triple")
        if len(parts) != 3:
            raise MalformedEdit("triple", "must be [head, relation, tail]")
        head, relation, tail = (
            _name(part, limit) for part, limit in zip(parts, _TRIPLE_LIMITS, strict=True)
        )
        return Triple(self._concept(head), relation, self._concept(tail))


def _account_of(value: Any) -> Account:
    document = _mapping(value, "evidence")
    return Account(
        query=_text(document.get("query"), "query"),
        answer=_text(document.get("answer"), "answer"),
        subject=_text(document.get("subject"), "subject"),
        object=_text(document.get("object"), "object"),
        relations=tuple(
            _text(relation, "relations")
            for relation in _list(document.get("relations"), "relations")
        ),
        loss_before=_loss(document.get("loss_before"), "loss_before"),
        loss_after=_loss(document.get("loss_after"), "loss_after"),
        stop_reason=_one_of(StopReason, document.get("stop_reason"), "stop_reason"),
        converged=_truth(document.get("converged"), "converged"),
        answer_before=_text(document.get("answer_before"), "answer_before", may_be_empty=True),
        answer_after=_text(document.get("answer_after"), "answer_after", may_be_empty=True),
    )


def _probabilities_of(value: Any) -> TripleProbabilities:
    document = _mapping(value, "probabilities")
    before = document.get("reasoning_answer_before")
    return TripleProbabilities(
        retrieval_before=_number(document.get("retrieval_before"), "retrieval_before"),
        retrieval_after=_number(document.get("retrieval_after"), "retrieval_after"),
        reasoning=_number(document.get("reasoning"), "reasoning"),
        reasoning_answer_before=None
        if before is None
        else _number(before, "reasoning_answer_before"),
    )


def _scope_of(value: Any) -> Scope:
    document = _mapping(value, "scope")
    encoded = _text(document.get("key", ""), "key", _MAX_KEY_TEXT_BYTES, may_be_empty=True)
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise MalformedEdit("key", "is not base64") from None
    if len(key) % 2:
        raise MalformedEdit("key", "does not hold whole float16 numbers")
    named = document.get("fingerprint", "")
    fingerprint = _text(named, "fingerprint", MAX_ID_BYTES, may_be_empty=True)
    if bool(key) != bool(fingerprint):
        raise MalformedEdit("scope", "must have a key and its fingerprint, or neither")
    return Scope(
        query=_text(document.get("query"), "query"),
        key=key,
        fingerprint=fingerprint,
        owned=_truth(document.get("owned", False), "owned"),
        answered=_share(document.get("answered", 1.0), "answered"),
    )


def _mark_of(value: Any, name: str) -> Mark | None:
    if value is None:
        return None
    parts = _list(value, name)
    if len(parts) != 3 or parts[0] not in (Origin.ADDED.value, Origin.REMOVED.value):
        raise MalformedEdit(name, 'must be null or ["added" or "removed", revision, position]')
    revision, position = _whole(parts[1], name, least=1), _whole(parts[2], name, least=0)
    return Mark(Origin(parts[0]), Stamp(revision, position))


def _name(value: Any, limit_bytes: int) -> str:
    """The text of a concept or a relation, as this and every earlier version stored it."""
    text = _text(value, "triple", limit_bytes).strip()
    if not concept_key(text) or any(is_control(c) and c.isascii() for c in text):
        raise MalformedEdit("triple", "names nothing, or holds control characters")
    return text


def _loss(value: Any, name: str) -> float:
    return math.inf if value is None else _number(value, name)


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedEdit(name, "must be a JSON object")
    return value


def _list(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise MalformedEdit(name, "must be a JSON list")
    return value


def _text(
    value: Any, name: str, limit_bytes: int = _MAX_TEXT_BYTES, *, may_be_empty: bool = False
) -> str:
    if not isinstance(value, str) or bytes_of(value) > limit_bytes:
        raise MalformedEdit(name, f"must be a text of at most {limit_bytes} bytes")
    if not (value or may_be_empty):
        raise MalformedEdit(name, "is empty")
    if has_half_character(value):
        raise MalformedEdit(name, "holds half a character")
    return value


def _truth(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedEdit(name, "must be true or false")
    return value


def _whole(value: Any, name: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _MAX_WHOLE:
        raise MalformedEdit(name, f"must be a whole number of at least {least}")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf
        if math.isfinite(number):
            return number
    raise MalformedEdit(name, "must be a finite number")


def _share(value: Any, name: str) -> float:
    share = _number(value, name)
    if not 0 < share <= 1:
        raise MalformedEdit(name, "must be a number above 0 and at most 1")
    return share


def _one_of(kind: type[E], value: Any, name: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise MalformedEdit(name, f"must be one of {known}") from None
