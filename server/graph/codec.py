"""Edits as JSON: the form in which stores keep them and exports carry them; and what a text from
outside may be.

There are two degrees. `edit_from_json` reads whatever an edit can be, those of earlier versions
too: what it cannot be is a MalformedEdit that names the field. The `checked_*` functions say what
may come in now, for RPCs, imports and loaders alike. They look at what is left after normalisation,
since that is what is stored.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, NoReturn, TypeVar

from server.errors import Internal, InvalidRequest
from server.graph.concept import Concept, concept_key, has_invisible
from server.graph.edit import Account, Change, Edit, EditKind, StopReason, TripleProbabilities
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple, canonical

E = TypeVar("E", bound=Enum)

MAX_CONCEPT_BYTES = 512
MAX_RELATION_BYTES = 64
MAX_ID_BYTES = 64
MAX_TEXT_BYTES = 1 << 18
MAX_CHANGES = 500
"""Triples that one edit changes, or rests on."""
MAX_RELATIONS = 100
"""Relations that one edit's account names."""
MAX_EDIT_BYTES = 3 << 20
"""An edit as JSON: with what goes around it, it fits the 4 MiB of a gRPC client that sets no limit
of its own."""
MAX_TIME_MS = 253_402_300_799_999
"""The last moment of the year 9999, the last that a protobuf Timestamp or a `datetime` shows."""

_MAX_RELATION_SENT = 4 * MAX_RELATION_BYTES
"""Characters before numbering, quotes and blanks are taken off, which takes longer the more there
are."""
_TRIPLE_LIMITS = (MAX_CONCEPT_BYTES, MAX_RELATION_BYTES, MAX_CONCEPT_BYTES)
_SIGNS = frozenset("#%&@§")
"""Punctuation to Unicode, but read as a word."""
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_EMPTY_BRAILLE = "\u2800"
_BLANK_CONTROLS = frozenset("\t\n\r")


class MalformedEdit(InvalidRequest):
    """A JSON document that is no edit."""

    reason = "MALFORMED_EDIT"


def edit_to_json(edit: Edit) -> str:
    """The edit as one line of JSON with sorted keys."""
    return json.dumps(
        _edit(edit), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def edit_from_json(line: str, concept: Callable[[str], Concept] = Concept.of) -> Edit:
    """The edit that `edit_to_json` wrote. Raises MalformedEdit, and nothing else, whatever `line`
    is.

    `concept` says which one a text names: `legacy_concept` does as the service that wrote an old
    log did.
    """
    try:
        document = json_document(line)
    except NotJson as error:
        raise MalformedEdit("edit", str(error)) from error
    return _Reader(document, concept).edit()


def require_readable(edit: Edit) -> str:
    """The edit as JSON, once it is known that reading gives it back. Raises Internal where it does
    not.

    What a store writes goes through here, so that no record is ever written that cannot be read.
    """
    try:
        line = edit_to_json(edit)
        back = edit_from_json(line)
    except (InvalidRequest, ValueError) as error:  # ValueError: a number that JSON has not
        raise Internal("an edit cannot be read back as it is; nothing was written") from error
    if back != edit or _texts(back) != _texts(edit):
        raise Internal("an edit cannot be read back as it is; nothing was written")
    return line


def _texts(edit: Edit) -> list[tuple[str, str]]:
    """How the edit's concepts are shown, which their equality leaves out."""
    return [
        (t.head.text, t.tail.text) for t in (*(c.triple for c in edit.changes), *edit.relied_on)
    ]


class NotJson(ValueError):
    """A text that is not one JSON document (RFC 8259). The message is short and repeats nothing of
    it."""


def json_document(text: str) -> Any:
    """The document in `text`. Raises NotJson: also for a name given twice, NaN, and what Python
    would not read."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except NotJson:
        raise
    except json.JSONDecodeError as error:
        raise NotJson(f"is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise NotJson("is not JSON that can be read: it is nested too deeply") from error
    except ValueError as error:  # Python reads whole numbers up to 4,300 digits
        raise NotJson("is not JSON that can be read: a number has too many digits") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson("is not JSON that can be read: an object has a name twice")
    return members


def _refuse_constant(name: str) -> NoReturn:  # noqa: ARG001 - the parser passes it
    raise NotJson("is not JSON: NaN and Infinity are not numbers in JSON")


def _edit(edit: Edit) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": edit.id,
        "revision": edit.revision,
        "kind": edit.kind.value,
        "time_ms": edit.time_ms,
        "changes": [_change(c) for c in edit.changes],
    }
    if edit.account is not None:
        document["evidence"] = _account(edit.account)
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
    return loss if math.isfinite(loss) else None


def _triple(triple: Triple) -> list[str]:
    return [triple.head.text, triple.relation, triple.tail.text]


def _mark(mark: Mark | None) -> list[Any] | None:
    return None if mark is None else [mark.origin.value, mark.stamp.revision, mark.stamp.position]


class _Reader:
    """Reads one JSON document as an edit, naming the field that does not fit."""

    def __init__(self, document: Any, concept: Callable[[str], Concept]) -> None:
        self._document = self._mapping(document, "edit")
        self._concept = concept

    def edit(self) -> Edit:
        d = self._document
        return Edit(
            id=self._text(d.get("id"), "id", 64),
            revision=self._whole(d.get("revision"), "revision", 1),
            kind=self._one_of(EditKind, d.get("kind"), "kind"),
            time_ms=self._whole(d.get("time_ms"), "time_ms", 0),
            changes=tuple(self._change(c) for c in self._list(d.get("changes"), "changes")),
            account=self._account(d["evidence"]) if d.get("evidence") is not None else None,
            reverts=self._text(d["reverts"], "reverts", 64)
            if d.get("reverts") is not None
            else None,
            relied_on=tuple(
                self._triple(t) for t in self._list(d.get("relied_on", []), "relied_on")
            ),
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
            reasoning_answer_before=None
            if before is None
            else self._number(before, "reasoning_answer_before"),
        )

    def _account(self, value: Any) -> Account:
        d = self._mapping(value, "evidence")
        return Account(
            query=self._text(d.get("query"), "query"),
            answer=self._text(d.get("answer"), "answer"),
            subject=self._text(d.get("subject"), "subject"),
            object=self._text(d.get("object"), "object"),
            relations=tuple(
                self._text(r, "relations") for r in self._list(d.get("relations"), "relations")
            ),
            loss_before=self._loss(d.get("loss_before"), "loss_before"),
            loss_after=self._loss(d.get("loss_after"), "loss_after"),
            stop_reason=self._one_of(StopReason, d.get("stop_reason"), "stop_reason"),
            converged=self._truth(d.get("converged"), "converged"),
            answer_before=self._text(d.get("answer_before"), "answer_before", empty=True),
            answer_after=self._text(d.get("answer_after"), "answer_after", empty=True),
        )

    def _triple(self, value: Any) -> Triple:
        parts = self._list(value, "triple")
        if len(parts) != 3:
            raise MalformedEdit("triple", "is [head, relation, tail]")
        head, relation, tail = (
            self._name(part, limit) for part, limit in zip(parts, _TRIPLE_LIMITS, strict=True)
        )
        return Triple(self._concept(head), relation, self._concept(tail))

    def _name(self, value: Any, limit: int) -> str:
        """The text of a concept or a relation, as this and every earlier version stores them."""
        text = self._text(value, "triple", limit).strip()
        if not concept_key(text) or any(_is_control(c) and ord(c) < 128 for c in text):
            raise MalformedEdit("triple", "names nothing, or holds control characters")
        return text

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
        if not isinstance(value, str) or (not value and not empty) or _bytes_of(value) > limit:
            raise MalformedEdit(
                name, f"is a text of at most {limit} bytes" + ("" if empty else ", not empty")
            )
        if _has_half_character(value):
            raise MalformedEdit(name, "holds half a character")
        return value

    @staticmethod
    def _truth(value: Any, name: str) -> bool:
        if not isinstance(value, bool):
            raise MalformedEdit(name, "is true or false")
        return value

    @staticmethod
    def _whole(value: Any, name: str, least: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 53:
            raise MalformedEdit(name, f"is a whole number from {least}")
        return value

    @staticmethod
    def _number(value: Any, name: str) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:  # a whole number of more than 308 digits
                number = math.inf
            if math.isfinite(number):
                return number
        raise MalformedEdit(name, "is a finite number")

    @staticmethod
    def _one_of(kind: type[E], value: Any, name: str) -> E:
        try:
            return kind(value)
        except ValueError:
            raise MalformedEdit(
                name, f"is one of {', '.join(str(e.value) for e in kind)}"
            ) from None


# What may come in


def checked_text(text: str, field: str, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """`text` stripped: a query, an answer, of one line or several.

    Raises InvalidRequest when nothing of it shows, when it is too long, or when it holds control
    characters other than tabs and line ends.
    """
    _require_characters(text, field)
    stripped = text.strip()
    if not any(c.isprintable() and not c.isspace() for c in stripped):
        raise InvalidRequest(field, "is empty")
    _require_size(stripped, field, limit_bytes)
    return stripped


def checked_id(text: str, field: str, limit_bytes: int = MAX_ID_BYTES) -> str:
    """`text` stripped: what tells one user, request or edit from another, so that all of it must
    show.

    Raises InvalidRequest when it is empty, too long, or holds characters that control something or
    do not show.
    """
    _require_characters(text, field, blanks=frozenset())
    stripped = text.strip()
    if not stripped:
        raise InvalidRequest(field, "is empty")
    _require_visible(stripped, field)
    _require_size(stripped, field, limit_bytes)
    return stripped


def checked_concept(text: str, field: str) -> Concept:
    """The concept that `text` names. Raises InvalidRequest when it names nothing, or is no name."""
    _require_name(text, field)
    concept = Concept.of(text)
    if not concept.text:
        raise InvalidRequest(field, "is empty")
    if not names_concept(concept.key):
        raise InvalidRequest(field, "names nothing: it has no letter, digit or symbol")
    _require_size(max(concept.text, concept.key, key=_bytes_of), field, MAX_CONCEPT_BYTES)
    return concept


def is_concept_name(text: str) -> bool:
    """Whether `text` may be a concept's."""
    try:
        checked_concept(text, "concept")
    except InvalidRequest:
        return False
    return True


def checked_relation(text: str, field: str, vocabulary: Vocabulary) -> str:
    """The name of the relation that `text` means. Raises InvalidRequest when it names nothing, or
    is no name."""
    _require_name(text, field)
    if not text.strip():
        raise InvalidRequest(field, "is empty")
    if len(text.strip()) > _MAX_RELATION_SENT:
        raise InvalidRequest(field, f"is longer than {MAX_RELATION_BYTES} bytes")
    name = vocabulary.relation_named(text)
    if not vocabulary.uses(name):
        _require_relation(name, field)
    return name


def checked_relation_name(text: str, field: str) -> str:
    """`text` stripped, as the name that a relation is to have: a loader keeps the names that its
    file uses.

    Raises InvalidRequest when it names nothing, or is no name.
    """
    _require_name(text, field)
    if not text.strip():
        raise InvalidRequest(field, "is empty")
    _require_relation(text.strip(), field)
    return text.strip()


def is_relation_name(name: str) -> bool:
    """Whether `name` may be a relation's."""
    try:
        checked_relation_name(name, "relation")
    except InvalidRequest:
        return False
    return True


def _require_relation(name: str, field: str) -> None:
    if not names_relation(name):
        raise InvalidRequest(field, "names nothing: it has no letter or digit")
    _require_visible(name, field)
    _require_size(name, field, MAX_RELATION_BYTES)


def checked_triple(
    head: str, relation: str, tail: str, field: str, vocabulary: Vocabulary
) -> Triple:
    """The triple that the texts name. Raises InvalidRequest naming the part: `field`.head,
    .relation or .tail."""
    return Triple(
        checked_concept(head, f"{field}.head"),
        checked_relation(relation, f"{field}.relation", vocabulary),
        checked_concept(tail, f"{field}.tail"),
    )


def checked_edit(edit: Edit, vocabulary: Vocabulary, *, may_be_empty: bool = True) -> Edit:
    """An edit from outside as this service would have made it: its relations named, its triples in
    their one form.

    `may_be_empty` is for logs that may hold edits which server.graph.rekeying left without a
    change. Raises InvalidRequest naming the field where it is not what an RPC could have made, but
    for the number of triples.
    """
    for text, field in ((edit.id, "id"), (edit.reverts, "reverts")):
        if text is not None and checked_id(text, field) != text:
            raise InvalidRequest(field, "has blanks around it")
    if edit.time_ms > MAX_TIME_MS:
        raise InvalidRequest("time_ms", "is after the year 9999")
    if not (edit.changes or may_be_empty) or any(c.before == c.after for c in edit.changes):
        raise InvalidRequest("changes", "is empty, or holds one that changes nothing")
    if len(edit.relied_on) > MAX_CHANGES:
        raise InvalidRequest(
            "relied_on", f"holds {len(edit.relied_on)} triples; at most {MAX_CHANGES}"
        )
    if edit.account is not None:
        _require_account(edit.account)
    return replace(
        edit,
        changes=tuple(replace(c, triple=_named(c.triple, vocabulary)) for c in edit.changes),
        relied_on=tuple(_named(t, vocabulary) for t in edit.relied_on),
    )


def _named(triple: Triple, vocabulary: Vocabulary) -> Triple:
    checked = checked_triple(
        triple.head.text, triple.relation, triple.tail.text, "triple", vocabulary
    )
    return canonical(checked, vocabulary)


def _require_account(account: Account) -> None:
    checked_text(account.query, "query")
    checked_text(account.answer, "answer")
    for text, field in (
        (account.answer_before, "answer_before"),
        (account.answer_after, "answer_after"),
    ):
        _require_characters(text, field)
        _require_size(text, field, MAX_TEXT_BYTES)
    checked_concept(account.subject, "subject")
    checked_concept(account.object, "object")
    if len(account.relations) > MAX_RELATIONS:
        raise InvalidRequest(
            "relations", f"holds {len(account.relations)}; at most {MAX_RELATIONS}"
        )
    for relation in account.relations:
        _require_name(relation, "relations")
        _require_size(relation, "relations", MAX_RELATION_BYTES)


def names_concept(key: str) -> bool:
    """Whether a concept's key names something: a letter, a digit or a symbol is left of it, as of
    "C++" or an emoji."""
    return any(_is_word(c) or _is_symbol(c) for c in key)


def names_relation(name: str) -> bool:
    """Whether a relation's name says something: it has a letter or a digit."""
    return any(_is_word(c) for c in concept_key(name))


def printable(text: str) -> str:
    """`text` without control characters other than tabs and line ends, for what a model wrote."""
    return "".join(c for c in text if not _is_control(c) or c in _BLANK_CONTROLS)


def _is_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LN"


def _is_symbol(char: str) -> bool:
    return char in _SIGNS or (
        unicodedata.category(char) in ("Sm", "Sc", "So") and char != _EMPTY_BRAILLE
    )


def _is_control(char: str) -> bool:
    return unicodedata.category(char) == "Cc"


def _has_half_character(text: str) -> bool:
    """Whether there is a lone surrogate: JSON can write one, UTF-8 cannot."""
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _require_characters(text: str, field: str, blanks: Iterable[str] = _BLANK_CONTROLS) -> None:
    if text.isascii() and text.isprintable():
        return
    if _has_half_character(text):
        raise InvalidRequest(field, "holds half a character")
    if any(_is_control(c) and c not in blanks for c in text):
        raise InvalidRequest(field, "holds control characters")


def _require_visible(text: str, field: str) -> None:
    if has_invisible(text):
        raise InvalidRequest(field, "holds invisible characters")


def _require_name(text: str, field: str) -> None:
    _require_characters(text, field)
    if _BIDI_CONTROLS & set(text):
        raise InvalidRequest(field, "holds characters that turn the direction of writing")


def _require_size(text: str, field: str, limit_bytes: int) -> None:
    if _bytes_of(text) > limit_bytes:
        raise InvalidRequest(field, f"is longer than {limit_bytes} bytes")
