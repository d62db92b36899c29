"""What people write to an assistant, and the facts in it: training/messages.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "messages.jsonl"


@dataclass(frozen=True, slots=True)
class Message:
    """A message, and its facts as the learning template writes them."""

    text: str
    facts: tuple[str, ...]
    context: str = ""
    """What was said before, where the message makes sense only with it."""


def read_messages(path: Path = FILE) -> list[Message]:
    """The messages that were written for this project."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Message(row["message"], _facts(row), row.get("context", "")) for row in rows]


def _facts(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{sign} {' | '.join(fact)}" for sign, *fact in row["facts"])
