"""The lines that the model writes for a message: `+ I | works as | nurse <sep> - I | likes | jazz`.

Whatever a model writes, a line is of this form or it is not read.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.tuning.templates import NO_FACTS, SEPARATOR

MOST_LINES = 24
"""Lines of one passage that are read. What a model goes on with is repetition."""
_SIGNS = {"+": True, "-": False}


@dataclass(frozen=True, slots=True)
class Line:
    """A fact as the model wrote it. It is learned, or taken back."""

    learned: bool
    subject: str
    relation: str
    object: str


@dataclass(frozen=True, slots=True)
class Lines:
    """What could be read of a text that the model wrote, and what could not."""

    read: tuple[Line, ...]
    unread: tuple[str, ...]


def read_lines(written: str, *, whole: bool = True) -> Lines:
    """The lines of `written`. If it is not the `whole` text, its last line is not read."""
    read: dict[Line, None] = {}
    unread: dict[str, None] = {}
    texts = [text.strip() for text in written.replace("\n", SEPARATOR).split(SEPARATOR)]
    for number, text in enumerate(texts):
        if not text or text.casefold().rstrip(".") == NO_FACTS:
            continue
        line = _line(text) if whole or number < len(texts) - 1 else None
        if line is not None and len(read) < MOST_LINES:
            read[line] = None
        else:
            unread[text] = None
    return Lines(tuple(read), tuple(unread))


def _line(text: str) -> Line | None:
    sign, parts = text[0], [part.strip() for part in text[1:].split("|")]
    if sign not in _SIGNS or len(parts) != 3 or not all(parts):
        return None
    return Line(_SIGNS[sign], *parts)
