from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

from evaluation.paper import tables
from evaluation.paper.summary import Cost, rows_of
from evaluation.paper.units import CaseRecord, EditRecord, Setup, Unit, Units

SETUP = Setup("tiny", "f1", "", "counterfact", "d1", "starter", "held-out")


def unit(method: str, size: int, seed: int, wins: int, setup: Setup = SETUP) -> Unit:
    """A unit in which so many of the cases are won, and edits take 10, 20, ... ms."""
    cases = tuple(
        CaseRecord(str(n), {"efficacy": float(n < wins), "paraphrase": 1.0, "generated": None})
        for n in range(size)
    )
    edits = tuple(
        EditRecord(str(n), 10.0 * (n + 1), 100.0 + n, extraction_ms=4.0, triples=2)
        for n in range(size)
    )
    return Unit(
        setup=setup,
        method=method,
        size=size,
        seed=seed,
        edits=edits,
        cases=cases,
        foreign_asked=10,
        foreign_changed=1,
        resting_mb=60.0,
        command="python -m evaluation run --out somewhere",
    )


def written(out: Path, *units: Unit) -> str:
    for one in units:
        Units(out).write(one)
    tables.write(out)
    return (out / "README.md").read_text()


def test_seeds_are_put_together_and_sizes_are_not(tmp_path: Path) -> None:
    text = written(
        tmp_path,
        unit("KGT literal", 4, 0, 4),
        unit("KGT literal", 4, 1, 2),
        unit("KGT literal", 8, 0, 8),
    )
    (at_four,) = [line for line in text.splitlines() if "| KGT literal | 75.0" in line]
    assert "75.0 ± 16.4 [35.4]" in at_four
    assert "| 8 | 2 | 0 |" in at_four, "eight cases in two seeds, none refused"
    assert "### 8 cases edited" in text
    assert "python -m evaluation run --out somewhere" in text


def test_every_line_of_a_table_has_as_many_cells_as_its_head(tmp_path: Path) -> None:
    text = written(tmp_path, unit("KGT literal", 4, 0, 4), unit("no edit", 4, 0, 1))
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, lines


def test_chance_is_called_so_and_only_where_guessing_wins_half(tmp_path: Path) -> None:
    text = written(tmp_path, unit("no edit", 40, 0, 20))
    (line,) = [line for line in text.splitlines() if "| no edit | 50.0" in line]
    assert line.count("**chance**") == 1


def test_a_row_has_what_an_edit_costs_with_extraction_apart(tmp_path: Path) -> None:
    for one in (unit("KGT literal", 2, 0, 1), unit("KGT literal", 2, 1, 1)):
        Units(tmp_path).write(one)
    (row,) = rows_of(Units(tmp_path))
    cost = Cost.of(row)
    assert (cost.edits, cost.ms, cost.extraction_ms) == (4, 15.0, 4.0)
    assert (cost.peak_mb, cost.own_mb) == (101.0, 41.0)


def test_models_stand_side_by_side_as_in_the_paper(tmp_path: Path) -> None:
    other = dataclasses.replace(SETUP, model="tiny with its adapter", adapter="a1")
    units = [unit("no edit", 4, 0, 0), unit("no edit", 8, 0, 8), unit("no edit", 4, 0, 4, other)]
    text = written(tmp_path, *units)
    head, _, line = text.partition("all models, 4 cases edited\n")[2].strip().splitlines()[:3]
    assert "tiny, graph starter, held-out: efficacy" in head
    assert line == "| no edit | 0.0 ± 0.0 | 100.0 ± 0.0 | 100.0 ± 0.0 | 100.0 ± 0.0 |"


def test_the_file_for_programs_has_each_figure_with_its_seeds_deviation_and_command(
    tmp_path: Path,
) -> None:
    written(tmp_path, unit("KGT literal", 4, 0, 3), unit("KGT literal", 4, 1, 1))
    with (tmp_path / "results.csv").open() as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    efficacy = rows["efficacy"]
    assert (efficacy["mean"], efficacy["cases"], efficacy["seeds"]) == ("0.5", "8", "2")
    assert float(efficacy["deviation"]) > 0
    assert float(efficacy["seed_deviation"]) > 0
    assert efficacy["is_chance"] == "True"
    assert efficacy["command"] == "python -m evaluation run --out somewhere"
    assert rows["triples per edit"]["mean"] == "2.0"
    assert rows["foreign answers changed"]["mean"] == "0.1"
    assert rows["edit ms, extraction"]["mean"] == "4.0"


def test_the_same_units_give_the_same_pictures(tmp_path: Path) -> None:
    names = ("KGT literal", "KGT literal with relation given", "model alone")
    for folder in ("one", "two"):
        written(tmp_path / folder, *(unit(name, 4, 0, 3) for name in names))
    pictures = sorted(path.name for path in (tmp_path / "one").glob("*.svg"))
    assert len(pictures) == 2, "relations extracted and given, and sizes"
    for name in pictures:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_unit_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = unit("KGT literal", 3, 0, 2)
    Units(tmp_path).write(one)
    assert list(Units(tmp_path)) == [one]
