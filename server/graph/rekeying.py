"""Brings logs of edits from before KEYS_VERSION 2 to the keys of today.

Under the old keys O’Hara and O'Hara were two concepts. Both could like rhubarb, and each of the two
triples had a history of its own. Today that is one triple.

The rule: after each edit, the one triple has the newest of the marks that its spellings had then.
So a triple that the user saw stays until its last spelling is taken away, and a change's `before`
is the mark that the rekeyed log has at that point. A change that changes nothing is left out. Its
edit stays, even if it is empty.
"""

from __future__ import annotations

from dataclasses import replace

from server.graph.edit import Change, Edit
from server.graph.triple import Mark, Triple


class Rekeying:
    """Goes through one log, oldest edit first.

    Each edit is passed in twice, with the same changes in the same order: `written` has its triples
    under the keys of then (`legacy_concept`), `today` has them as they are stored now.
    """

    def __init__(self) -> None:
        self._marks: dict[Triple, dict[Triple, tuple[Triple, Mark]]] = {}
        """Triple of today -> its spellings then -> how each is shown now, and its mark."""

    def fits(self, written: Edit, today: Edit) -> bool:
        """Whether the written changes start from the marks that their triples have.

        They must also be of different triples, under the keys of then.
        """
        different = set()
        for then, now in zip(written.changes, today.changes, strict=True):
            start = self._marks.get(now.triple, {}).get(then.triple)
            if (start[1] if start else None) != then.before:
                return False
            different.add((then.triple.head, now.triple.relation, then.triple.tail))
        return len(different) == len(written.changes)

    def rekeyed(self, written: Edit, today: Edit) -> Edit:
        """The edit with one change for each of today's triples, between the marks they have."""
        starts: dict[Triple, Mark | None] = {}
        last: dict[Triple, Change] = {}
        # Put the written changes through, spelling by spelling.
        for then, now in zip(written.changes, today.changes, strict=True):
            spelled = self._marks.setdefault(now.triple, {})
            starts.setdefault(now.triple, _newest(now.triple, spelled)[1])
            last[now.triple] = now
            spelled.pop(then.triple, None)
            if now.after is not None:
                spelled[then.triple] = (now.triple, now.after)
        # Keep those after which a triple of today has another mark than before.
        changes = []
        for triple, before in starts.items():
            shown, after = _newest(last[triple].triple, self._marks[triple])
            if after != before:
                changes.append(replace(last[triple], triple=shown, before=before, after=after))
        relied_on = tuple(dict.fromkeys(today.relied_on))
        return replace(today, changes=tuple(changes), relied_on=relied_on)


def _newest(
    triple: Triple, spelled: dict[Triple, tuple[Triple, Mark]]
) -> tuple[Triple, Mark | None]:
    """How the spelling of `triple` with the newest mark is shown, and that mark."""
    return max(spelled.values(), key=lambda entry: entry[1].stamp, default=(triple, None))
