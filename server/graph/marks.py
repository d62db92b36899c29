"""Turns what a user's overlay should say about triples into the changes that make it say so.

This is the only place that decides which mark a triple gets: direct edits, merges and Personalize
all come here. Reverts only put earlier marks back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from server.graph.edit import Change, Scope
from server.graph.triple import Mark, Origin, Stamp, Triple

Found = Mapping[Triple, tuple[bool, Mark | None]]
"""For each triple: whether the base has it, and the mark that the overlay puts on it now."""

_NO_SCOPES: Mapping[Triple, Scope] = MappingProxyType({})


def changes_to(
    wanted: Iterable[tuple[Triple, Origin]],
    found: Found,
    revision: int,
    *,
    renew: bool = False,
    scopes: Mapping[Triple, Scope] = _NO_SCOPES,
) -> tuple[Change, ...]:
    """The changes after which each triple is ADDED or REMOVED, as `wanted` says.

    They are those of the edit with `revision`. A triple that is already as wanted is left alone;
    with `renew`, a triple to be added becomes the newest even so. `scopes`: what added triples
    answer.

    A triple is marked REMOVED only where the base has it. Elsewhere there is nothing to hide, and
    having no mark is enough. (An imported history keeps the marks that it came with, so a REMOVED
    mark can stand where this base has nothing. It hides nothing and is left alone.)
    """
    changes: list[Change] = []
    for triple, origin in wanted:
        in_base, before = found[triple]
        if _is_so(origin, in_base, before) and not (renew and origin is Origin.ADDED):
            continue
        needs_mark = origin is Origin.ADDED or in_base
        after = Mark(origin, Stamp(revision, len(changes))) if needs_mark else None
        scope = scopes.get(triple) if origin is Origin.ADDED else None
        changes.append(Change(triple, before, after, scope=scope))
    return tuple(changes)


def _is_so(origin: Origin, in_base: bool, mark: Mark | None) -> bool:
    """Whether a triple is ADDED or REMOVED already, by the overlay's mark or for want of one."""
    if mark is None:
        return origin is Origin.REMOVED and not in_base
    return mark.origin is origin
