"""Logs of edits: replayed into overlays, and compared with what a store keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from server.graph.edit import Edit, Overlay, OverlayBuilder, UnreadableEdit

OVERLAY_DIFFERS = "the overlay is not what the log makes"


def replayed(edits: Iterable[Edit]) -> Overlay:
    """The overlay that a log of edits, oldest first, leaves."""
    builder = OverlayBuilder()
    for edit in edits:
        builder.apply(edit)
    return builder.overlay()


@dataclass(frozen=True, slots=True)
class CheckedLog:
    """What is wrong with a log, and the overlay that it makes.

    The overlay is None where an edit could be neither read nor recovered.
    """

    problems: tuple[str, ...]
    overlay: Overlay | None


def checked_log(
    edits: Iterable[Edit | UnreadableEdit],
    revision: int,
    recovered: Callable[[UnreadableEdit], Edit | None] = lambda edit: None,
) -> CheckedLog:
    """Replay a user's whole log, oldest edit first, and note what is wrong with it.

    `revision` is where the store says that the user stands. `recovered` returns what else is known
    of an unreadable edit, so that the edits after it can be judged; None where nothing is.
    """
    problems = []
    builder: OverlayBuilder | None = OverlayBuilder()
    latest = 0
    for stored in edits:
        if stored.revision != latest + 1:
            problems.append(f"the log goes from revision {latest} to {stored.revision}")
        latest = stored.revision
        edit: Edit | None
        if isinstance(stored, UnreadableEdit):
            problems.append(
                f"the record of edit {stored.id} (revision {stored.revision}) cannot be read"
            )
            edit = recovered(stored)
        else:
            edit = stored
            if builder is not None and not builder.fits(edit):
                problems.append(
                    f"edit {edit.id} (revision {edit.revision})"
                    " does not start from the overlay before it"
                )
        if edit is None:
            builder = None
        if builder is not None and edit is not None:
            builder.apply(edit)
    if latest != revision:
        problems.append(f"the log ends at revision {latest}")
    return CheckedLog(tuple(problems), None if builder is None else builder.overlay())


def of_user(revision: object, problems: Iterable[str]) -> list[str]:
    """Problems with the user that they belong to, who is named by a revision only."""
    return [f"a user at revision {revision}: {problem}" for problem in problems]
