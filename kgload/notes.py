"""The loader's own notes as JSON: what a workspace holds, and where a file or a base came from.

A note that is not exactly what was written counts as absent: an unknown field may change the
meaning, because it comes from a newer version. See docs/decisions/0015-json-into-values.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


def to_note(value: DataclassInstance) -> str:
    """A dataclass as JSON."""
    return json.dumps(asdict(value), ensure_ascii=False)


def from_note(kind: type[T], note: str) -> T:
    """The dataclass that `to_note` wrote.

    Raises ValueError where a field is unknown or missing, or has another type.
    """
    return TypeAdapter(kind).validate_json(note, strict=True, extra="forbid")
