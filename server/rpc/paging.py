"""Page tokens: where a listing goes on.

A token keeps to the first page's revision. It is good only for the same user, overlay and request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from server.errors import UnknownPageToken

_MAC_BYTES = 16
_NO_HYPHEN = b"._"
"""Characters 62 and 63 of the encoding: a token that began with a hyphen would look like an option
on a command line."""


@dataclass(frozen=True, slots=True)
class Position:
    """The overlay and the revision that the first page was read at, and the store's cursor."""

    revision: int
    overlay_id: str
    cursor: str = ""


class PageTokens:
    """Makes and reads the tokens of all servers over one graph. Nobody else can make one.

    `key` is the graph's own (`GraphStore.page_key`), so that any of these servers goes on with a
    listing. The embedded store makes a new one at each start: then the caller starts the listing
    again, as after any other UnknownPageToken.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, position: Position, user: str, *request: str) -> str:
        """An opaque token; empty at the end of a listing."""
        if not position.cursor:
            return ""
        body = json.dumps([position.revision, position.overlay_id, position.cursor]).encode()
        signed = self._mac(body, user, request) + body
        return base64.b64encode(signed, _NO_HYPHEN).decode().rstrip("=")

    def position(self, token: str, user: str, *request: str) -> Position:
        """Where a listing goes on.

        Raises UnknownPageToken for a token that was not made for this user and request.
        """
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), _NO_HYPHEN)
        except (binascii.Error, ValueError):
            raise UnknownPageToken from None
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body, user, request)):
            raise UnknownPageToken
        revision, overlay_id, cursor = json.loads(body)  # one of these servers wrote it
        return Position(revision, overlay_id, cursor)

    def _mac(self, body: bytes, user: str, request: tuple[str, ...]) -> bytes:
        bound = json.dumps([user, *request]).encode()
        return hmac.digest(self._key, hashlib.sha256(bound).digest() + body, "sha256")[:_MAC_BYTES]
