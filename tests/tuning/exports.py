"""Exports for tests: logs, and lines with a footer that fits them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from server.graph.edit import Change, Edit, EditKind
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.tuning.export_format import export_lines


def added(revision: int, position: int = 0) -> Mark:
    return Mark(Origin.ADDED, Stamp(revision, position))


def chain(count: int, triples: int = 1) -> list[Edit]:
    """Edits that add `triples` triples each."""
    return [
        Edit(f"e{r}", r, EditKind.FACTS, r, _additions(r, triples)) for r in range(1, count + 1)
    ]


def _additions(revision: int, triples: int) -> tuple[Change, ...]:
    return tuple(
        Change(Triple.of(f"head {revision}", "IsA", f"tail {n}"), None, added(revision, n))
        for n in range(triples)
    )


def exported(edits: Sequence[Edit]) -> list[str]:
    return list(export_lines(edits, {}))


def signed(*body: str, header: str = '{"format":"kgt-overlay","version":1}') -> list[str]:
    """Lines with a footer that fits them."""
    digest = hashlib.sha256("".join(f"{line}\n" for line in (header, *body)).encode()).hexdigest()
    return [header, *body, json.dumps({"edits": len(body), "sha256": digest})]
