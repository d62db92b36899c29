"""What texts from outside may be: the same checks for RPCs, imports and loaders.

The checks look at what is left of a text after normalisation, because that is what is stored.
They say what may come in now; `server.graph.codec` also reads what earlier versions let in.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import replace

from server.errors import InvalidRequest
from server.graph.characters import (
    BIDI_CONTROLS,
    BLANK_CONTROLS,
    bytes_of,
    has_half_character,
    is_control,
    is_letter_or_digit,
    is_symbol,
)
from server.graph.concept import Concept, concept_key
from server.graph.edit import Account, Change, Edit, Scope
from server.graph.invisible import has_invisible
from server.graph.relation import Vocabulary
from server.graph.triple import Origin, Triple, canonical

MAX_CONCEPT_BYTES = 512
MAX_RELATION_BYTES = 64
MAX_ID_BYTES = 64
MAX_TEXT_BYTES = 1 << 18
MAX_CHANGES = 500
"""The most triples that one edit changes, and the most that it relies on."""
MAX_RELATIONS = 100
"""The most relations that an edit's account names."""
MAX_TIME_MS = 253_402_300_799_999
"""The end of the year 9999, the last time that a protobuf Timestamp or a `datetime` can show."""

_ROUNDED = 0.01
"""A key's length differs from 1 by less, once its numbers are rounded to float16."""
_MAX_RELATION_SENT = 4 * MAX_RELATION_BYTES
"""The most characters of a relation before it is cleaned: cleaning a long text takes long."""


# Texts and names


def checked_text(text: str, field: str, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """`text`, stripped: a query or an answer, of one line or several.

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
    """`text`, stripped: the name of a user, a request or an edit.

    Two different ids must look different. So this raises InvalidRequest when `text` is empty, too
    long, or holds control characters or characters that do not show.
    """
    _require_characters(text, field, blanks=frozenset())
    stripped = text.strip()
    if not stripped:
        raise InvalidRequest(field, "is empty")
    _require_visible(stripped, field)
    _require_size(stripped, field, limit_bytes)
    return stripped


def checked_concept(text: str, field: str) -> Concept:
    """The concept that `text` names. Raises InvalidRequest when it names none."""
    _require_name(text, field)
    concept = Concept.of(text)
    if not concept.text:
        raise InvalidRequest(field, "is empty")
    if not _names_concept(concept.key):
        raise InvalidRequest(field, "names nothing: it has no letter, digit or symbol")
    _require_size(max(concept.text, concept.key, key=bytes_of), field, MAX_CONCEPT_BYTES)
    return concept


def is_concept_name(text: str) -> bool:
    """Whether `text` can name a concept."""
    try:
        checked_concept(text, "concept")
    except InvalidRequest:
        return False
    return True


def _names_concept(key: str) -> bool:
    """Whether a concept's key names something: it has a letter, a digit or a symbol."""
    return any(is_letter_or_digit(c) or is_symbol(c) for c in key)


def checked_relation(text: str, field: str, vocabulary: Vocabulary) -> str:
    """The name of the relation that `text` means. Raises InvalidRequest when it means none."""
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
    """`text`, stripped, as a relation's name: a loader keeps the names that its file uses.

    Raises InvalidRequest when it cannot be one.
    """
    _require_name(text, field)
    if not text.strip():
        raise InvalidRequest(field, "is empty")
    _require_relation(text.strip(), field)
    return text.strip()


def is_relation_name(name: str) -> bool:
    """Whether `name` can be a relation's."""
    try:
        checked_relation_name(name, "relation")
    except InvalidRequest:
        return False
    return True


def _names_relation(name: str) -> bool:
    """Whether a relation's name says something: it has a letter or a digit."""
    return any(is_letter_or_digit(c) for c in concept_key(name))


# Triples and edits


def checked_triple(
    head: str, relation: str, tail: str, field: str, vocabulary: Vocabulary
) -> Triple:
    """The triple that three texts name.

    Raises InvalidRequest naming the part: `field`.head, `field`.relation or `field`.tail.
    """
    return Triple(
        checked_concept(head, f"{field}.head"),
        checked_relation(relation, f"{field}.relation", vocabulary),
        checked_concept(tail, f"{field}.tail"),
    )


def checked_edit(edit: Edit, vocabulary: Vocabulary) -> Edit:
    """An edit from outside as this service would have made it.

    Its relations get the names that the vocabulary has for them, its triples their one form. Raises
    InvalidRequest, naming the field, where no RPC could have made the edit. The number of its
    changes is not checked.
    """
    _require_id(edit.id, "id")
    if edit.reverts is not None:
        _require_id(edit.reverts, "reverts")
    if edit.time_ms > MAX_TIME_MS:
        raise InvalidRequest("time_ms", "is after the year 9999")
    if any(change.before == change.after for change in edit.changes):
        raise InvalidRequest("changes", "holds a change that changes nothing")
    if len(edit.relied_on) > MAX_CHANGES:
        raise InvalidRequest(
            "relied_on", f"holds {len(edit.relied_on)} triples; the limit is {MAX_CHANGES}"
        )
    if edit.account is not None:
        _require_account(edit.account)
    if edit.message:
        checked_text(edit.message, "message")
    for change in edit.changes:
        if change.scope is not None:
            _require_scope(change, change.scope)
    return replace(
        edit,
        changes=tuple(
            replace(change, triple=_as_stored(change.triple, vocabulary)) for change in edit.changes
        ),
        relied_on=tuple(_as_stored(triple, vocabulary) for triple in edit.relied_on),
    )


def _as_stored(triple: Triple, vocabulary: Vocabulary) -> Triple:
    head, tail = triple.head.text, triple.tail.text
    return canonical(checked_triple(head, triple.relation, tail, "triple", vocabulary), vocabulary)


def _require_id(text: str, field: str) -> None:
    if checked_id(text, field) != text:
        raise InvalidRequest(field, "has blanks around it")


def _require_account(account: Account) -> None:
    checked_text(account.query, "query")
    checked_text(account.answer, "answer")
    # What the model answered is never used as a name, and may be empty.
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
            "relations", f"holds {len(account.relations)}; the limit is {MAX_RELATIONS}"
        )
    for relation in account.relations:
        _require_name(relation, "relations")
        _require_size(relation, "relations", MAX_RELATION_BYTES)


def _require_scope(change: Change, scope: Scope) -> None:
    if change.after is None or change.after.origin is not Origin.ADDED:
        raise InvalidRequest("scope", "belongs to a triple that is not added")
    # The part of a query that asks is never used as a name, and it may be cut anywhere.
    _require_characters(scope.query, "scope.query")
    _require_size(scope.query, "scope.query", MAX_TEXT_BYTES)
    if scope.fingerprint:
        _require_id(scope.fingerprint, "scope.fingerprint")
    if scope.key:
        numbers = struct.unpack(f"<{len(scope.key) // 2}e", scope.key)
        if not abs(math.hypot(*numbers) - 1) < _ROUNDED:  # nor where it is not a number
            raise InvalidRequest("scope.key", "is not of length 1")


# What the checks have in common


def _require_characters(text: str, field: str, blanks: Iterable[str] = BLANK_CONTROLS) -> None:
    if text.isascii() and text.isprintable():
        return
    if has_half_character(text):
        raise InvalidRequest(field, "holds half a character")
    if any(is_control(c) and c not in blanks for c in text):
        raise InvalidRequest(field, "holds control characters")


def _require_name(text: str, field: str) -> None:
    _require_characters(text, field)
    if BIDI_CONTROLS & set(text):
        raise InvalidRequest(field, "holds characters that change the direction of the text")


def _require_relation(name: str, field: str) -> None:
    if not _names_relation(name):
        raise InvalidRequest(field, "names nothing: it has no letter or digit")
    _require_visible(name, field)
    _require_size(name, field, MAX_RELATION_BYTES)


def _require_visible(text: str, field: str) -> None:
    if has_invisible(text):
        raise InvalidRequest(field, "holds invisible characters")


def _require_size(text: str, field: str, limit_bytes: int) -> None:
    if bytes_of(text) > limit_bytes:
        raise InvalidRequest(field, f"is longer than {limit_bytes} bytes")
