"""Which cases a run edits, and which it must not: drawn by a seed, and in its order."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from evaluation.methods.method import EditCase
from evaluation.paper.reading import LeftOut
from evaluation.paper.scoring import FactItem
from training.sources import in_unseen_half, is_held_out

FIT_CASES = 2_000
"""At most so many cases outside of the test set are given to a method to fit."""
_ROOM = 0.5
"""A prompt may take up this part of the model's context: templates, facts and answers need room."""

PARTS: Mapping[str, Callable[[str], bool]] = {
    "held-out": is_held_out,
    "unseen": lambda subject: is_held_out(subject) and in_unseen_half(subject),
    "all": lambda subject: True,
}
"""Which subjects are tested: those that the adapter was not trained on; of these, the half that
nothing else was tuned on; or all of them."""


class TooLong:
    """Whether a model can hold a case's prompts, with room for what a system adds to them."""

    def __init__(self, count_tokens: Callable[[str], int], context_tokens: int) -> None:
        self._count = count_tokens
        self._most = int(context_tokens * _ROOM)

    def __call__(self, case: EditCase) -> str:
        """Why the case does not fit; empty if it does."""
        texts = [f"{p} {t}" for p in case.prompts for t in (case.target_new, case.target_true)]
        longest = max(map(self._count, texts))
        if longest <= self._most:
            return ""
        return f"a prompt has {longest} tokens, and {self._most} of the model's context are free"


def choose(
    cases: Sequence[EditCase], part: str, seed: int, size: int, too_long: TooLong
) -> tuple[list[FactItem], list[LeftOut]]:
    """Draw `size` cases, or all there are. A smaller size has the first of the same cases.

    Two cases never ask the same prompt: the second would overwrite the first. A case whose relation
    is not known cannot be edited with the relation given. What is passed over is listed.
    """
    drawn = [case for case in cases if PARTS[part](case.subject)]
    random.Random(seed).shuffle(drawn)
    chosen: dict[str, EditCase] = {}
    left_out: list[LeftOut] = []
    for case in drawn:
        if len(chosen) == size:
            break
        if not case.relation:
            left_out.append(LeftOut(case.id, "UnknownRelation", "no prompt or pair tells it"))
        elif case.prompt in chosen:
            left_out.append(LeftOut(case.id, "SamePrompt", "an earlier case asks the same prompt"))
        elif why := too_long(case):
            left_out.append(LeftOut(case.id, "TooLong", why))
        else:
            chosen[case.prompt] = case
    return list(map(FactItem, chosen.values())), left_out


def outside(
    cases: Sequence[EditCase], part: str, tested: Sequence[EditCase], too_long: TooLong
) -> tuple[list[EditCase], list[LeftOut]]:
    """Cases that no run tests, in an order of their own: for fitting, and for foreign questions.

    Their subjects are none of the part's. Where the part is all, they are none of those `tested`.
    What is passed over is listed.
    """
    subjects = {case.subject for case in tested}
    others = [c for c in cases if c.subject not in subjects]
    if part != "all":
        others = [c for c in others if not is_held_out(c.subject)]
    random.Random("outside").shuffle(others)
    found: list[EditCase] = []
    left_out: list[LeftOut] = []
    for case in others:
        if len(found) == FIT_CASES:
            break
        if why := too_long(case):
            left_out.append(LeftOut(case.id, "TooLongToFit", why))
        else:
            found.append(case)
    return found, left_out
