from __future__ import annotations

from pathlib import Path

from evaluation.methods.method import EditCase
from evaluation.paper.journal import Journal
from evaluation.paper.units import CaseRecord, EditRecord
from tests.evaluation.paper.test_tables import SETUP

CASES = [EditCase(str(n), "Ann", "Ann was born in", "Oslo", "Rome") for n in range(4)]
RECORDS = [EditRecord(case.id, 1.0, 2.0, extraction_ms=0.5, triples=3) for case in CASES]


def journal(folder: Path) -> Journal:
    """One in which three edits are made, and the system was saved after two."""
    one = Journal(folder, SETUP)
    for number, record in enumerate(RECORDS[:3]):
        one.add_edit(number, record)
    one.state_path(1).write_text("older")
    one.state_path(2).write_text("newer")
    one.drop_states_before(2)
    return one


def test_a_run_goes_on_after_the_last_edit_that_was_saved(tmp_path: Path) -> None:
    journal(tmp_path)
    again = Journal(tmp_path, SETUP)
    assert again.resumable(CASES) == RECORDS[:2]
    assert again.state_path(2).read_text() == "newer"
    assert not again.state_path(1).exists()
    assert again.resumable(CASES[:1]) == [], "too many edits are in the state that was saved"
    assert again.resumable(CASES[1:]) == [], "other cases were edited"


def test_an_edit_that_is_made_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    one = journal(tmp_path)
    later = EditRecord("0", 9.0, 9.0)
    one.add_edit(0, later)
    assert Journal(tmp_path, SETUP).resumable(CASES) == [later, RECORDS[1]]


def test_scores_are_known_by_size_and_a_line_that_was_cut_off_is_not(tmp_path: Path) -> None:
    one = journal(tmp_path)
    score = CaseRecord("0", {"efficacy": 1.0}, "Oslo", 0.5, 1.5)
    one.add_score(2, score)
    one.add_score(2, CaseRecord("1", {"efficacy": 0.0}))
    file = tmp_path / "journal.jsonl"
    file.write_text(file.read_text()[:-9])
    again = Journal(tmp_path, SETUP)
    assert again.scores(2) == {"0": score}
    assert again.scores(3) == {}
    again.add_score(3, score)
    assert Journal(tmp_path, SETUP).scores(3) == {"0": score}
