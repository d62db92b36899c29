"""What a load may use, and when it gives up."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

from kgload.errors import LoadError

_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
_LEAST_MEMORY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a load may use, and how many malformed lines it accepts."""

    memory_bytes: int = 2 << 30
    max_errors: int = 1000
    rejects: Path | None = None
    threads: int = field(default_factory=lambda: min(4, os.cpu_count() or 1))


def parse_memory(text: str) -> int:
    """ "2GB", "512MB" as bytes. Raises LoadError."""
    cleaned = text.strip().casefold().replace("ib", "b")
    try:
        value = float(cleaned[:-2]) * _UNITS[cleaned[-2:]]
    except (KeyError, ValueError) as error:
        raise LoadError(f"--memory {text}: say it like 2GB or 512MB") from error
    if not _LEAST_MEMORY_BYTES <= value < math.inf:
        raise LoadError(f"--memory {text}: at least 256MB is needed")
    return int(value)
