"""Edits: what changed in a user's overlay, why, and from which state to which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from server.graph.triple import Mark, Origin, Stamp, Triple


class EditKind(Enum):
    """What made an edit."""

    PERSONALIZE = "personalize"
    FACTS = "facts"
    REVERT = "revert"
    IMPORT = "import"
    LEARN = "learn"


class StopReason(Enum):
    """Why Personalize stopped changing the view."""

    ALREADY_CORRECT = "already_correct"
    OVERTOOK = "overtook"
    LOSS = "loss"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class TripleProbabilities:
    """A triple's probabilities for one query.

    `retrieval_before` and `retrieval_after` are P(z|q) (Eq. 5) in the view before and after the
    edit, 0 where the triple is not in it. `reasoning` is P(a|q,z) (Eq. 6) for the feedback, and
    `reasoning_answer_before` for the answer before. These two do not depend on the view.
    """

    retrieval_before: float
    retrieval_after: float
    reasoning: float
    reasoning_answer_before: float | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a personal fact answers: the query or sentence that taught it, and that text's key.

    `key` holds float16 numbers, in the byte order of the least first, and `fingerprint` says what
    they were read with (LanguageModel.key_fingerprint). Both are empty where the key has to be read
    again. `owned`: the fact's head is the user's own ("my dog"). `answered` is P(a|q,z) for this
    query and the fact: how readily the model answers with it where it should.
    """

    query: str
    key: bytes = b""
    fingerprint: str = ""
    owned: bool = False
    answered: float = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit did to one triple: the overlay's mark before and after.

    None means no mark: the triple is as in the base.
    """

    triple: Triple
    before: Mark | None
    after: Mark | None
    probabilities: TripleProbabilities | None = None
    scope: Scope | None = None
    """Of a triple that was added as an answer to a query, or learned from a sentence."""

    @property
    def enters(self) -> bool:
        """Whether the triple entered the view, or became its newest, rather than left it."""
        before, after = _standing(self.before), _standing(self.after)
        return after > before or after == before > 0


def _standing(mark: Mark | None) -> int:
    """-1 for a hidden triple, 1 for one that the user added, 0 for one that is as in the base."""
    if mark is None:
        return 0
    return 1 if mark.origin is Origin.ADDED else -1


@dataclass(frozen=True, slots=True)
class Account:
    """Why Personalize made its changes. The losses are Eq. 7, and may be infinite."""

    query: str
    answer: str
    subject: str
    object: str
    relations: tuple[str, ...]
    loss_before: float
    loss_after: float
    stop_reason: StopReason
    converged: bool
    answer_before: str
    answer_after: str


@dataclass(frozen=True, slots=True)
class Edit:
    """One committed change of an overlay, which has `revision` from then on."""

    id: str
    revision: int
    kind: EditKind
    time_ms: int
    changes: tuple[Change, ...]
    account: Account | None = None
    reverts: str | None = None
    """The id of the edit that this one reverts."""
    relied_on: tuple[Triple, ...] = ()
    """Personal triples that this edit's decision rested on without changing them."""
    message: str = ""
    """What the user said, where it was learned from that."""

    @property
    def added(self) -> tuple[Change, ...]:
        """The changes by which triples entered the view."""
        return tuple(c for c in self.changes if c.enters)

    @property
    def removed(self) -> tuple[Change, ...]:
        """The changes by which triples left the view."""
        return tuple(c for c in self.changes if not c.enters)


@dataclass(frozen=True, slots=True)
class UnreadableEdit:
    """What is still known of a stored edit whose record was damaged."""

    id: str
    revision: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """A user's added and removed triples at one revision."""

    revision: int = 0
    marks: Mapping[Triple, Mark] = field(default_factory=dict)

    def with_edit(self, edit: Edit) -> Overlay:
        """The overlay after `edit`. This copies all marks; OverlayBuilder replays a whole log."""
        builder = OverlayBuilder(self)
        builder.apply(edit)
        return builder.overlay()


class OverlayBuilder:
    """Replays a log of edits into one overlay, at a cost that does not grow with the overlay."""

    def __init__(self, start: Overlay | None = None) -> None:
        self.revision = start.revision if start else 0
        self._marks: dict[Triple, Mark] = dict(start.marks) if start else {}

    def fits(self, edit: Edit) -> bool:
        """Whether each of the edit's changes starts from the mark that its triple has now."""
        return all(self._marks.get(change.triple) == change.before for change in edit.changes)

    def apply(self, edit: Edit) -> None:
        """Go on to the overlay after `edit`."""
        for change in edit.changes:
            # Equal triples may have different texts: taking out the old one keeps the newer text.
            self._marks.pop(change.triple, None)
            if change.after is not None:
                self._marks[change.triple] = change.after
        self.revision = edit.revision

    def overlay(self) -> Overlay:
        """The overlay as it is now. Edits that are applied later do not change it."""
        return Overlay(self.revision, dict(self._marks))


def scopes_by_mark(edits: Iterable[Edit]) -> dict[tuple[Triple, Stamp], Scope]:
    """What the triples that `edits` added answer, by the triple and the stamp of its mark.

    An edit from before scopes were kept has its query in its account, and P(a|q,z) next to what it
    changed.
    """
    scopes: dict[tuple[Triple, Stamp], Scope] = {}
    for edit in edits:
        for change in edit.changes:
            mark = change.after
            if mark is None or mark.origin is not Origin.ADDED:
                continue
            if mark.stamp.revision != edit.revision:
                continue  # a revert put an older mark back, which has its scope
            if change.scope is not None:
                scopes[change.triple, mark.stamp] = change.scope
            elif edit.account is not None:
                known = change.probabilities
                answered = 1.0 if known is None else answered_share(known.reasoning)
                scopes[change.triple, mark.stamp] = Scope(edit.account.query, answered=answered)
    return scopes


def answered_share(reasoning: float) -> float:
    """P(a|q,z) as a scope keeps it: above 0, so that others can be compared with it."""
    return min(1.0, max(reasoning, 1e-6))
