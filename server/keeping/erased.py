"""The list of erased overlays as a file, for copies that are older than the erases.

{"format":"kgt-erased","version":1}
{"overlay_id":"...","time_ms":...}               one for each erase

An overlay's id is random. The list names nobody, and says something only together with a copy that
still has the overlay.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from server.errors import CopyRefused
from server.keeping.files import documents, replaced
from server.tuning.ports import GraphStore, Page, Tombstone

FORMAT, VERSION = "kgt-erased", 1
_PAGE = 1_000


async def all_tombstones(store: GraphStore) -> AsyncIterator[Tombstone]:
    """The tombstones of a store, page by page."""
    cursor = ""
    while True:
        listing = await store.tombstones(Page(_PAGE, cursor))
        for tombstone in listing.items:
            yield tombstone
        if not (cursor := listing.next_cursor):
            return


def tombstone_line(tombstone: Tombstone) -> str:
    return json.dumps({"overlay_id": tombstone.overlay_id, "time_ms": tombstone.time_ms})


def tombstone_in(document: Mapping[str, Any]) -> Tombstone | None:
    """The tombstone that a line says; None for a line that is not one."""
    overlay_id, time_ms = document.get("overlay_id"), document.get("time_ms")
    if isinstance(overlay_id, str) and isinstance(time_ms, int) and len(document) == 2:
        return Tombstone(overlay_id, time_ms)
    return None


def read_erased(path: Path) -> list[Tombstone]:
    """The tombstones in a list. An empty file is an empty list. Raises CopyRefused."""
    found = []
    for number, document in documents(path):
        if number == 1:
            if document.get("format") != FORMAT or document.get("version") != VERSION:
                raise CopyRefused(f"{path} is not a list of erased overlays ({FORMAT} {VERSION})")
            continue
        tombstone = tombstone_in(document)
        if tombstone is None:
            raise CopyRefused(f"{path}: line {number} is not an erased overlay")
        found.append(tombstone)
    return found


def write_erased(path: Path, tombstones: Iterable[Tombstone]) -> int:
    """Write the list, with what was in it before. Returns how many it has. Raises CopyRefused."""
    kept = {t.overlay_id: t for t in (read_erased(path) if path.exists() else ())}
    for tombstone in tombstones:
        kept.setdefault(tombstone.overlay_id, tombstone)
    with replaced(path) as file:
        file.write(json.dumps({"format": FORMAT, "version": VERSION}) + "\n")
        file.writelines(tombstone_line(tombstone) + "\n" for tombstone in kept.values())
    return len(kept)
