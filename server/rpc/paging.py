"""Page tokens: where a listing goes on, at the first page's revision, for the same user and request only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from server.errors import UnknownPageToken


@dataclass(frozen=True, slots=True)
class Position:
    """The revision that the first page was read at, and the store's cursor."""

    revision: int
    cursor: str


def page_token(position: Position, user: str, *request: str) -> str:
    """An opaque token; empty at the end of a listing."""
    if not position.cursor:
        return ""
    body = json.dumps([position.revision, position.cursor])
    return base64.urlsafe_b64encode(f"{_bound(body, user, request)}{body}".encode()).decode().rstrip("=")


def position_of(token: str, user: str, *request: str) -> Position | None:
    """Where a listing goes on; None for its first page. Raises UnknownPageToken for any other's token."""
    if not token:
        return None
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        bound, body = text[:_BOUND], text[_BOUND:]
        revision, cursor = json.loads(body)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise UnknownPageToken from error
    if bound != _bound(body, user, request) or not isinstance(revision, int) or not isinstance(cursor, str):
        raise UnknownPageToken
    return Position(revision, cursor)


_BOUND = 32


def _bound(body: str, user: str, request: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([body, user, *request]).encode()).hexdigest()[:_BOUND]
