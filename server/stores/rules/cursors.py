"""Cursors: the place behind a listed item, as text.

A cursor is a JSON list of texts and whole numbers. A listing with several sections gives each
section a list of another shape, and the shape says where to go on.
"""

from __future__ import annotations

import json
from typing import Any

from server.errors import UnknownPageToken

Place = tuple[Any, ...]
Shape = tuple[type, ...]

_NUMBERS_BELOW = 1 << 63


def encoded(place: Place) -> str:
    """The cursor for a place."""
    return json.dumps(place)


def decoded(cursor: str, *shapes: Shape) -> Place:
    """The place that a cursor names. Its values have the types of one of `shapes`.

    Raises UnknownPageToken.
    """
    try:
        place = json.loads(cursor)
    except (ValueError, RecursionError):
        raise UnknownPageToken from None
    if not isinstance(place, list) or tuple(type(value) for value in place) not in shapes:
        raise UnknownPageToken
    if any(isinstance(value, int) and not 0 <= value < _NUMBERS_BELOW for value in place):
        raise UnknownPageToken
    return tuple(place)
