"""Logs of edits from before KEYS_VERSION 2, as they would be had concepts that are one now been one
then.

Under the old keys O’Hara and O'Hara were two concepts, so that both could like rhubarb, each with a
history of its own. Now that is one triple. The rule: at each edit its mark is the newest of the
marks that its spellings had then. So what a user saw stays until its last spelling is taken away,
and a change's `before` is what the log has by then. A change that comes to nothing is left out; its
edit stays, even empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from server.graph.concept import concept_key
from server.graph.edit import Change, Edit
from server.graph.triple import Mark, Triple


class Rekeying:
    """Goes through one log, oldest edit first.

    Each edit is given twice: `written`, with its triples as they were told apart then
    (`legacy_concept`), and `today`, with them as they are stored now, change by change.
    """

    def __init__(self) -> None:
        self._marks: dict[Triple, dict[Triple, tuple[Triple, Mark]]] = {}
        """Triple of today -> the triples of then that it was, how each is shown now, and its mark.
        """

    def fits(self, written: Edit, today: Edit) -> bool:
        """Whether the changes, as they were written, are of different triples and start from the
        marks of those."""
        told_apart = set()
        for then, now in zip(written.changes, today.changes, strict=True):
            start = self._marks.get(now.triple, {}).get(then.triple)
            if (start[1] if start else None) != then.before:
                return False
            told_apart.add((then.triple.head, now.triple.relation, then.triple.tail))
        return len(told_apart) == len(written.changes)

    def rekeyed(self, written: Edit, today: Edit) -> Edit:
        """The edit with one change for each of today's triples, from and to the marks that those
        have."""
        starts: dict[Triple, Mark | None] = {}
        last: dict[Triple, Change] = {}
        for then, now in zip(written.changes, today.changes, strict=True):
            spelled = self._marks.setdefault(now.triple, {})
            starts.setdefault(now.triple, _newest(now.triple, spelled)[1])
            last[now.triple] = now
            spelled.pop(then.triple, None)
            if now.after is not None:
                spelled[then.triple] = (now.triple, now.after)
        changes = []
        for triple, before in starts.items():
            shown, after = _newest(last[triple].triple, self._marks[triple])
            if after != before:
                changes.append(replace(last[triple], triple=shown, before=before, after=after))
        return replace(
            today, changes=tuple(changes), relied_on=tuple(dict.fromkeys(today.relied_on))
        )


def changed_keys(concepts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """(stored key, key of today) of those of `concepts`, (stored key, text), that have another key
    today."""
    for key, text in concepts:
        today = concept_key(text)
        if today and today != key:
            yield key, today


def _newest(
    triple: Triple, spelled: dict[Triple, tuple[Triple, Mark]]
) -> tuple[Triple, Mark | None]:
    """The newest mark among the spellings of `triple`, and how that one is shown."""
    return max(spelled.values(), key=lambda entry: entry[1].stamp, default=(triple, None))
