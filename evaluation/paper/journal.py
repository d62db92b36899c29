"""What a method has done with a seed's cases so far: a stopped run goes on among its edits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from evaluation.methods.method import EditCase
from evaluation.paper.lines import Lines
from evaluation.paper.units import CaseRecord, EditRecord, Setup

_STATE = ".state"


class Journal:
    """A line for each edit and for each case that is scored, and the system after its last edits.

    The system's state is a file of its own, named for how many edits are in it. What was done under
    another setup is dropped.
    """

    def __init__(self, folder: Path, setup: Setup) -> None:
        self._folder = folder
        self._edits: dict[int, EditRecord] = {}
        self._scores: dict[int, dict[str, CaseRecord]] = {}
        file = folder / "journal.jsonl"
        own = {"setup": asdict(setup)}
        self._lines = Lines(file)
        known = list(self._lines.rows())
        if known[:1] != [own]:
            shutil.rmtree(folder, ignore_errors=True)
            known, self._lines = [], Lines(file)
            self._lines.append(own)
        for row in known[1:]:
            if "edit" in row:
                self._edits[row["number"]] = EditRecord(**row["edit"])
            else:
                record = CaseRecord(**row["score"])
                self._scores.setdefault(row["size"], {})[record.case] = record

    # Edits

    def add_edit(self, number: int, record: EditRecord) -> None:
        """Keep what the edit with this number came to; they are counted from 0."""
        self._edits[number] = record
        self._lines.append({"number": number, "edit": asdict(record)})

    def state_path(self, edits: int) -> Path:
        """Where the system is saved after so many edits."""
        return self._folder / f"{edits}{_STATE}"

    def drop_states_before(self, edits: int) -> None:
        """Only the newest state is kept."""
        for path in self._folder.glob(f"*{_STATE}"):
            if int(path.stem) < edits:
                path.unlink()

    def resumable(self, cases: Sequence[EditCase]) -> list[EditRecord]:
        """The records of the first of `cases`, after the last of which the system was saved.

        As many as there are; none where nothing was saved, or where other cases were edited.
        """
        saved = (int(path.stem) for path in self._folder.glob(f"*{_STATE}"))
        count = max((edits for edits in saved if edits <= len(cases)), default=0)
        records = [self._edits[n] for n in range(count) if n in self._edits]
        is_same = [record.case for record in records] == [case.id for case in cases[:count]]
        return records if is_same else []

    # Scores

    def add_score(self, size: int, record: CaseRecord) -> None:
        """Keep what a case came to after the edits of so many cases."""
        self._lines.append({"size": size, "score": asdict(record)})

    def scores(self, size: int) -> Mapping[str, CaseRecord]:
        """What was scored before this run began, by the case's id."""
        return self._scores.get(size, {})
