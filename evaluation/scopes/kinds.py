"""The kinds of questions that the adapter was never trained on: each kind is a user of its own.

The kind's first wording taught the fact. Its other wordings must find it. Its near misses, its
first wording about another subject, and what other kinds of its topic ask must not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaluation.corrections.cases import UNSEEN
from evaluation.scopes.banks import Bank, Probe, Taught
from training.kinds import Kind, filled, read_kinds
from training.sources import in_unseen_half, is_held_out

NAME = "kinds"
_NEIGHBORS = 2
"""So many other kinds of the topic are asked."""


def kind_banks(half: str, cases: int | None) -> list[Bank]:
    """A user for each held-out kind of this half, by a hash of the kind's name; at most `cases`."""
    kinds = read_kinds()
    kept = [k for k in kinds if k.is_held_out and in_unseen_half(k.name) == (half == UNSEEN)]
    return [bank_of_kind(kind, kinds) for kind in kept[:cases]]


def bank_of_kind(kind: Kind, kinds: Sequence[Kind]) -> Bank:
    """The user who was taught one fact of `kind`."""
    first, *others = _subjects(kind)
    query, *paraphrases = (filled(wording, first) for wording in kind.wordings)
    unrelated = [filled(near, first) for near in kind.near]
    unrelated += [filled(kind.wordings[0], other) for other in others[:1]]
    unrelated += [filled(k.wordings[0], first) for k in _neighbors(kind, kinds)]
    return Bank(
        (Taught(query, kind.answers[0]),),
        (*_probes(paraphrases, 0), *_probes(unrelated, None)),
    )


def _subjects(kind: Kind) -> list[str]:
    """The kind's subjects, those that training never saw first. One without a name if none."""
    return sorted(kind.subjects, key=lambda s: not is_held_out(s)) or [""]


def _neighbors(kind: Kind, kinds: Sequence[Kind]) -> list[Kind]:
    """Kinds that ask something else about the same."""
    alike = [
        other
        for other in kinds
        if other.topic == kind.topic
        and other.name != kind.name
        and bool(other.subjects) == bool(kind.subjects)
    ]
    return alike[:_NEIGHBORS]


def _probes(queries: Iterable[str], right: int | None) -> list[Probe]:
    return [Probe(query, right, NAME) for query in dict.fromkeys(queries)]
