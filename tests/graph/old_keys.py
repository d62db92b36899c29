"""Logs as they were written before KEYS_VERSION 2, when each spelling was a concept of its own."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from server.graph.concept import legacy_concept
from server.graph.edit import Change, Edit, EditKind
from server.graph.triple import Mark, Origin, Stamp, Triple

Step = tuple[Triple, bool]


def old(head: str, relation: str, tail: str) -> Triple:
    """A triple between concepts with the keys of that time."""
    return Triple(legacy_concept(head), relation, legacy_concept(tail))


def old_log(edits: Iterable[Iterable[Step]]) -> list[Edit]:
    """An edit for each list of (triple, whether it is added or taken back).

    Steps that change nothing are left out.
    """
    marks: dict[Triple, Mark] = {}
    log: list[Edit] = []
    for steps in edits:
        changes: list[Change] = []
        for triple, adds in dict(steps).items():
            after = Mark(Origin.ADDED, Stamp(len(log) + 1, len(changes))) if adds else None
            if after != marks.get(triple):
                changes.append(Change(triple, marks.get(triple), after))
        for change in changes:
            marks.pop(change.triple, None)
            if change.after is not None:
                marks[change.triple] = change.after
        if changes:
            revision = len(log) + 1
            log.append(
                Edit(f"edit-{revision}", revision, EditKind.FACTS, 1_000 * revision, tuple(changes))
            )
    return log


HARAS = ("O'Hara", "O\u2019Hara", "o\u2019hara", "O\u02bcHara", "oz", "caf\u00e9 \u2018n\u2019 co")
triples = st.builds(
    old,
    st.sampled_from(HARAS),
    st.sampled_from(["Desires", "IsA"]),
    st.sampled_from(["tulips", "tulips\u200b", "tea"]),
)
logs = st.lists(
    st.lists(st.tuples(triples, st.booleans()), min_size=1, max_size=3), max_size=8
).map(old_log)
