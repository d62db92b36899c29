"""Kinds of questions: many ways to ask one thing, and queries that only look alike.

They are in training/kinds, one JSON object a line, and were written for this project. Each kind has
the fields of `Kind`; {S} stands for a subject and {a} for an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from training.sources import is_held_out

FOLDER = Path(__file__).parent / "kinds"
HELD_OUT_KINDS = 0.08
"""So many kinds are never trained on."""
HELD_OUT_WORDINGS = 0.06
_LIKE_HELD_OUT_RELATIONS = re.compile(
    r"religion|instrument|playing\.position|twin|network|currency|sports?(_team)?\b|cs\.symbol"
)
"""Kinds that ask what relations ask that are never trained on (sources.HELD_OUT_RELATIONS)."""
_SLOT = "{S}"
_DETERMINER = re.compile(r"^(?:my|our|the|a|an) ")


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that people ask, about the user or about any of `subjects`."""

    name: str
    topic: str
    """Kinds of one topic are about the same things, and no two of them ask the same."""
    head: str
    """What its fact is filed at: "I", "my rent", or the slot for a subject."""
    relation: str
    wordings: tuple[str, ...]
    """Ways to ask it. All have the same answer."""
    statements: tuple[str, ...]
    """Ways to say it, with a slot for the answer."""
    near: tuple[str, ...]
    """Queries that look alike and have another answer."""
    answers: tuple[str, ...]
    subjects: tuple[str, ...]
    """What fills the slot; empty for what is about the user."""
    several: bool = False
    """Whether it asks for several values at once."""

    @property
    def is_held_out(self) -> bool:
        named = bool(_LIKE_HELD_OUT_RELATIONS.search(self.name))
        return named or is_held_out(f"kind {self.name}", HELD_OUT_KINDS)

    @property
    def is_trained_on(self) -> bool:
        """Whether it is asked in training: neither it nor what of the user's it is about is held
        out.
        """
        return not self.is_held_out and (bool(self.subjects) or not is_held_out(bare(self.head)))

    @property
    def asked(self) -> tuple[str, ...]:
        """The wordings that are trained on."""
        return tuple(w for w in self.wordings if not _is_kept(w))

    @property
    def held_out(self) -> tuple[str, ...]:
        """The wordings that are kept from training."""
        return tuple(w for w in self.wordings if _is_kept(w))


def _is_kept(wording: str) -> bool:
    return is_held_out(f"wording {wording}", HELD_OUT_WORDINGS)


def read_kinds(folder: Path = FOLDER) -> list[Kind]:
    """All kinds, in the order of the files' names.

    A near miss is left out where its words are those of a kind that is not trained on, or a
    held-out wording.
    """
    kinds = [kind for path in sorted(folder.glob("*.jsonl")) for kind in _kinds(path)]
    kept: set[str] = set()
    for kind in kinds:
        kept |= _asked_about(kind, kind.held_out if kind.is_trained_on else kind.wordings)
    return [_without(kept, kind) for kind in kinds]


def _without(kept: Set[str], kind: Kind) -> Kind:
    near = (text for text in kind.near if kept.isdisjoint(_asked_about(kind, (text,))))
    return replace(kind, near=tuple(near))


def _asked_about(kind: Kind, texts: Sequence[str]) -> set[str]:
    """The texts about each of the kind's subjects, and with their slot."""
    return {plain(filled(text, s)) for text in texts for s in (*kind.subjects, _SLOT)}


def _kinds(path: Path) -> Iterator[Kind]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Kind(
            name=row["kind"],
            topic=f"{path.stem} {row['kind'].partition('.')[0]}",
            head=row["head"],
            relation=row["relation"],
            wordings=tuple(row["wordings"]),
            statements=tuple(row["statements"]),
            near=tuple(row["near"]),
            answers=tuple(row["answers"]),
            subjects=tuple(row["subjects"]),
            several=row.get("several", False),
        )


def filled(text: str, subject: str) -> str:
    """`text` with the subject in its slot, and a capital at the start."""
    text = text.replace(_SLOT, subject)
    return text[:1].upper() + text[1:]


def filled_head(kind: Kind, subject: str) -> str:
    """What a fact of this kind is filed at."""
    return kind.head.replace(_SLOT, subject)


def unowned(head: str) -> str:
    """What a fact is filed at, whoever owns it: "rent" for "my rent"."""
    return head.removeprefix("my ")


def bare(subject: str) -> str:
    """The subject without its determiner: "rent" for "my rent", "owl" for "an owl"."""
    return _DETERMINER.sub("", subject)


def plain(text: str) -> str:
    """`text` without what makes no other wording of it: capitals, and marks at the end."""
    return " ".join(text.casefold().replace("’", "'").split()).rstrip("?.! ")
