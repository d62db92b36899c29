"""From what a user's overlay should say of triples to the changes that make it say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.graph.edit import Change
from server.graph.triple import Mark, Origin, Stamp, Triple

Found = Mapping[Triple, tuple[bool, Mark | None]]
"""Of each triple whether the base has it, and the mark that the overlay puts on it now."""


def changes_to(
    wanted: Iterable[tuple[Triple, Origin]], found: Found, revision: int, *, renew: bool = False
) -> tuple[Change, ...]:
    """The changes of the edit with `revision` after which each triple is ADDED or REMOVED, as
    `wanted` says.

    What is so already is left alone; with `renew` what is to be added becomes the newest all the
    same. A mark that says REMOVED is put only where the base has the triple: elsewhere there is
    nothing to hide, and no mark says enough.
    """
    changes: list[Change] = []
    for triple, origin in wanted:
        in_base, mark = found[triple]
        present = mark.origin if mark else None
        hidden = present is Origin.REMOVED or (present is None and not in_base)
        if (origin is Origin.REMOVED and hidden) or (
            origin is Origin.ADDED and present is origin and not renew
        ):
            continue
        keeps_mark = origin is Origin.ADDED or in_base
        after = Mark(origin, Stamp(revision, len(changes))) if keeps_mark else None
        changes.append(Change(triple, mark, after))
    return tuple(changes)
