"""Edits: what changed in a user's overlay, why, and from which state to which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from server.graph.triple import Mark, Origin, Triple


class EditKind(Enum):
    """What made an edit."""

    PERSONALIZE = "personalize"
    FACTS = "facts"
    REVERT = "revert"
    IMPORT = "import"


class StopReason(Enum):
    """Why Personalize stopped changing the view."""

    ALREADY_CORRECT = "already_correct"
    OVERTOOK = "overtook"
    LOSS = "loss"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class TripleProbabilities:
    """A triple's probabilities for one query.

    `retrieval_*` is P(z|q) (Eq. 5) in the view before and after, 0 outside of it. `reasoning` is
    P(a|q,z) of the feedback, `reasoning_answer_before` that of the answer before (Eq. 6); neither
    depends on the view.
    """

    retrieval_before: float
    retrieval_after: float
    reasoning: float
    reasoning_answer_before: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit did to one triple: the overlay's mark before and after. None is no mark: as in
    the base."""

    triple: Triple
    before: Mark | None
    after: Mark | None
    probabilities: TripleProbabilities | None = None

    @property
    def enters(self) -> bool:
        """Whether the triple entered the view, or became the newest of it, rather than left it."""
        return _standing(self.after) > _standing(self.before) or (
            _standing(self.after) == _standing(self.before) > 0
        )


def _standing(mark: Mark | None) -> int:
    if mark is None:
        return 0
    return 1 if mark.origin is Origin.ADDED else -1


@dataclass(frozen=True, slots=True)
class Account:
    """Why a Personalize made its changes. Losses are Eq. 7 and may be infinite."""

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
    """One committed change of an overlay, which then has `revision`."""

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

    @property
    def added(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.enters)

    @property
    def removed(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if not c.enters)


@dataclass(frozen=True, slots=True)
class UnreadableEdit:
    """A stored edit whose record was damaged: what is still known of it."""

    id: str
    revision: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Overlay:
    """A user's added and removed triples at one revision."""

    revision: int = 0
    marks: Mapping[Triple, Mark] = field(default_factory=dict)

    def with_edit(self, edit: Edit) -> Overlay:
        """The overlay after `edit`. To replay a whole log, use OverlayBuilder: this copies all
        marks."""
        builder = OverlayBuilder(self)
        builder.apply(edit)
        return builder.overlay()


class OverlayBuilder:
    """Replays a log of edits into one overlay. An edit costs what it changes, however large the
    overlay is."""

    def __init__(self, start: Overlay | None = None) -> None:
        self.revision = start.revision if start else 0
        self._marks: dict[Triple, Mark] = dict(start.marks) if start else {}

    def fits(self, edit: Edit) -> bool:
        """Whether each of the edit's changes starts from the mark that stands here."""
        return all(self._marks.get(change.triple) == change.before for change in edit.changes)

    def apply(self, edit: Edit) -> None:
        """Go on to the overlay after `edit`."""
        for change in edit.changes:
            self._marks.pop(
                change.triple, None
            )  # the newer text of a concept replaces the older one
            if change.after is not None:
                self._marks[change.triple] = change.after
        self.revision = edit.revision

    def overlay(self) -> Overlay:
        """The overlay as it is now; what is applied later does not change it."""
        return Overlay(self.revision, dict(self._marks))
