"""What a client's method does to its arguments before they are a message."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from kgt.v1 import personalization_pb2 as pb

TripleLike = pb.Triple | tuple[str, str, str]
"""A triple as a message or as (head, relation, tail)."""

_IMPORT_MESSAGE_BYTES = 1 << 20
"""How much text one message of an import carries. The server takes four times as much."""
_IMPORT_PIECE_CHARACTERS = _IMPORT_MESSAGE_BYTES // 4
"""The longest piece of a line. A character takes at most four bytes of UTF-8."""


def new_request_id() -> str:
    """A fresh request id (AIP-155). A write that carries one can be repeated safely."""
    return str(uuid.uuid4())


def triples(values: Iterable[TripleLike]) -> list[pb.Triple]:
    """Each triple as a message."""
    return [_triple(value) for value in values]


def _triple(value: TripleLike) -> pb.Triple:
    if isinstance(value, pb.Triple):
        return value
    head, relation, tail = value
    return pb.Triple(head=head, relation=relation, tail=tail)


def import_messages(
    *, user: str, lines: Iterable[str], merge: bool = False, request_id: str | None = None
) -> Iterator[pb.ImportOverlayRequest]:
    """The messages of an import. The first one names the user, and none is larger than 2 MiB."""
    message = pb.ImportOverlayRequest(
        user=user, merge=merge, request_id=request_id or new_request_id()
    )
    size = 0
    for line in lines:
        for piece, continued in _pieces(line.rstrip("\n")):
            piece_bytes = len(piece.encode())
            full = message.continued or size + piece_bytes > _IMPORT_MESSAGE_BYTES
            if message.lines and full:
                yield message
                message, size = pb.ImportOverlayRequest(user=user), 0
            message.lines.append(piece)
            message.continued = continued
            size += piece_bytes
    yield message


def _pieces(line: str) -> Iterator[tuple[str, bool]]:
    """A line in pieces that each fit a message, and whether the line goes on after the piece.

    Nearly every line is one piece.
    """
    last = max(len(line) - 1, 0) // _IMPORT_PIECE_CHARACTERS * _IMPORT_PIECE_CHARACTERS
    for start in range(0, last, _IMPORT_PIECE_CHARACTERS):
        yield line[start : start + _IMPORT_PIECE_CHARACTERS], True
    yield line[last:], False
