"""Questions about subjects that nobody corrects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle

from evaluation.corrections.cases import Case, Question
from evaluation.corrections.expectations import AsBefore
from training.sources import is_held_out

_NEVER_CORRECTED = 0.1
"""The share of the subjects that are only asked about."""


def with_other_subjects(cases: Sequence[Case], seed: int) -> list[Case]:
    """Some of the cases are taken out; the others also ask the question of one of those.

    The question is of the same topic. Where no case of the topic was taken out, none is added. The
    choice depends only on the half and the seed, not on how many cases are asked.
    """
    spared: dict[str, list[Case]] = defaultdict(list)
    corrected: list[Case] = []
    for case in cases:
        if is_held_out(f"never corrected {seed}: {case.subject}", _NEVER_CORRECTED):
            spared[case.topic].append(case)
        else:
            corrected.append(case)
    turns = {topic: cycle(others) for topic, others in spared.items()}
    return [_with_another(case, turns.get(case.topic)) for case in corrected]


def _with_another(case: Case, turns: Iterator[Case] | None) -> Case:
    if turns is None:
        return case
    other = next(turns)
    question = Question("other subject as before", other.corrections[0].query, AsBefore())
    return replace(case, questions=(*case.questions, question))
