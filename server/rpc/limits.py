"""What a request may hold. Every refusal names the field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kgt.v1 import personalization_pb2 as pb
from server.errors import InvalidRequest
from server.graph.checks import (
    MAX_CHANGES,
    MAX_ID_BYTES,
    checked_concept,
    checked_id,
    checked_text,
    checked_triple,
)
from server.graph.relation import Vocabulary
from server.graph.triple import Triple

MAX_USER_BYTES = 128
MAX_REQUEST_ID_BYTES = MAX_ID_BYTES
MAX_TRIPLES = MAX_CHANGES
MAX_RELATIONS = 20
MAX_MESSAGE_TEXT_BYTES = 16 << 10
"""For what a user says to Learn, and for what was said before."""
MAX_CANDIDATES = 100
MAX_FACTS = 100
MAX_K = MAX_RELATIONS
MAX_SCORED_TRIPLES = 4096
MAX_TOKENS = 1024
MAX_TEMPERATURE = 2.0
DEFAULT_PAGE = 50
MAX_PAGE = 500
MAX_MESSAGE_BYTES = 4 << 20
"""What a gRPC client or server takes by default."""
MAX_RESPONSE_BYTES = 7 << 19
"""3.5 MiB: every client takes it, and a page has room for more than its items."""


def text(value: str, field: str, limit_bytes: int) -> str:
    """`value` without outer blanks, neither empty nor longer than `limit_bytes`."""
    return checked_text(value, field, limit_bytes)


def text_or_empty(value: str, field: str, limit_bytes: int) -> str:
    """`value` without outer blanks, no longer than `limit_bytes`. It may be empty."""
    return checked_text(value, field, limit_bytes) if value.strip() else ""


def user(value: str) -> str:
    """The name of a user."""
    return checked_id(value, "user", MAX_USER_BYTES)


def leaving_user(value: str) -> str:
    """The name of a user to export or erase: any name that an earlier version took."""
    name = value.strip()
    if not name or len(name.encode()) > MAX_USER_BYTES:
        return user(value)
    return name


def concept(value: str, field: str) -> str:
    """The text of a concept. It has to name something."""
    return checked_concept(value, field).text


def relations(values: Sequence[str], field: str) -> tuple[str, ...]:
    """Texts that name relations. The vocabulary decides later which ones."""
    if len(values) > MAX_RELATIONS:
        raise InvalidRequest(field, f"holds {len(values)} relations; at most {MAX_RELATIONS}")
    return tuple(checked_text(r, f"{field}[{n}]") for n, r in enumerate(values))


def request_id(value: str) -> str | None:
    """The request id, or None if none was sent."""
    return checked_id(value, "request_id", MAX_REQUEST_ID_BYTES) if value else None


def edit_id(value: str) -> str:
    """The id of an edit."""
    return checked_id(value, "edit_id")


def whole(value: int, field: str, least: int, most: int) -> int:
    """`value`, if it is from `least` to `most`."""
    if not least <= value <= most:
        raise InvalidRequest(field, f"is {value}; it must be from {least} to {most}")
    return value


def number(value: float, field: str, least: float, most: float) -> float:
    """`value`, if it is from `least` to `most`. NaN is not."""
    if not least <= value <= most:
        raise InvalidRequest(field, f"is {value:g}; it must be from {least:g} to {most:g}")
    return value


def page_size(value: int) -> int:
    """The size of a page: 0 means the default, and too much means the most (AIP-158)."""
    if value < 0:
        raise InvalidRequest("page_size", "is negative")
    return min(value or DEFAULT_PAGE, MAX_PAGE)


def triples(values: Iterable[pb.Triple], field: str, vocabulary: Vocabulary) -> list[Triple]:
    """Triples whose relations have the vocabulary's names."""
    return [
        checked_triple(v.head, v.relation, v.tail, f"{field}[{n}]", vocabulary)
        for n, v in enumerate(values)
    ]
