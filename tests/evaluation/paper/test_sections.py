"""What the report says about ROME, about relations, and about what an edit costs."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

from evaluation.methods.registry import METHODS
from evaluation.paper.sections import RELATIONS
from tests.evaluation.paper.test_tables import SETUP, unit, written


def lines(text: str, heading: str) -> list[str]:
    """The lines of the table below a heading."""
    section = text.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    return [line for line in section.splitlines() if line.startswith("|")]


def test_rome_is_shown_next_to_r_rome_over_the_number_of_edits(tmp_path: Path) -> None:
    units = [unit(name, size, 0, 1) for name in ("ROME", "r-ROME") for size in (2, 4)]
    worse = dataclasses.replace(units[1], foreign_nlls=(2.0, 4.0))
    text = written(tmp_path, units[0], worse, *units[2:])
    head, _, at_two, at_four = lines(text, "ROME over the number of edits")
    assert "ROME: efficacy | ROME: foreign answers changed | ROME: loss of foreign facts" in head
    assert at_two.startswith("| 2 | 50.0 ± 50.0")
    assert "| 3.00 ± 1.00 |" in at_four
    (picture,) = tmp_path.glob("*-collapse.svg")
    assert picture.name in text
    assert "### ROME over" not in written(tmp_path / "one", units[0], units[2])


def test_the_covariance_is_a_table_of_its_own(tmp_path: Path) -> None:
    units = [unit("ROME", 4, 0, 4), unit("ROME (C = I)", 4, 0, 1), unit("ROME", 8, 0, 4)]
    _, _, *rows = lines(written(tmp_path, *units), "What ROME's covariance is worth")
    assert [row.split("|")[1:4] for row in rows] == [
        [" ROME ", " 4 ", " 100.0 ± 0.0 "],
        [" ROME (C = I) ", " 4 ", " 25.0 ± 25.0 **chance** "],
    ]


def test_figure_3_has_both_modes_with_relations_from_three_sources(tmp_path: Path) -> None:
    extracted_only = unit("KGT literal", 8, 0, 3)
    text = written(tmp_path, extracted_only, *(unit(name, 4, 0, 3) for name in RELATIONS.values()))
    _, _, *rows = lines(text, "Figure 3: relations extracted, ranked and given")
    assert [tuple(row.split(" | ")[:2]) for row in rows] == [
        (f"| {mode}", source) for mode, source in RELATIONS
    ]
    (picture,) = tmp_path.glob("*-relations.svg")
    assert picture.name in text
    assert set(RELATIONS.values()) <= METHODS.keys()


def test_costs_are_of_each_methods_largest_size_and_say_what_is_missing(tmp_path: Path) -> None:
    text = written(tmp_path, unit("ROME", 2, 0, 1), unit("ROME", 4, 0, 1), unit("FT", 2, 0, 1))
    _, _, *rows = lines(text, "Table 3: time and memory of an edit")
    assert [row.split(" | ")[-1] for row in rows] == ["2 |", "4 |"]
    assert "Not run: KGT literal, " in text
    assert "All rows are of one command on one machine." in text
    other = dataclasses.replace(unit("KN", 2, 0, 1), command="another")
    assert "**Times of 2 commands or machines**" in written(tmp_path, other)


def test_costs_are_of_the_run_that_timed_the_most_methods(tmp_path: Path) -> None:
    together = [
        dataclasses.replace(unit(name, 2, 0, 1), command="all") for name in ("FT", "KN", "ROME")
    ]
    later = [unit("ROME", 2, 1, 1), unit("ROME", 4, 0, 1)]
    text = written(tmp_path, *together, *later)
    _, _, *rows = lines(text, "Table 3: time and memory of an edit")
    assert [row.split(" | ")[-1] for row in rows] == ["2 |", "2 |", "2 |"]
    assert "All rows are of one command on one machine." in text


def test_rows_whose_cases_the_adapter_saw_are_marked(tmp_path: Path) -> None:
    seen = dataclasses.replace(SETUP, adapter="a1", part="all", model="tiny with its adapter")
    raw = dataclasses.replace(SETUP, part="all")
    held_out = dataclasses.replace(seen, part="held-out")
    of_set = dataclasses.replace(seen, dataset="twice")
    setups = (seen, raw, held_out, of_set)
    text = written(tmp_path, *(unit("no edit", 4, 0, 1, setup) for setup in setups))
    parts = text.split("\n## ")[1:]
    marked = {part.partition("\n")[0]: "| no edit † |" in part for part in parts}
    assert marked == {
        "Table 1, CounterFact: all models, 4 cases edited": False,
        "Table 1, CounterFact: tiny with its adapter, graph starter, all †": True,
        "Table 1, CounterFact: tiny, graph starter, all": False,
        "Table 1, CounterFact: tiny with its adapter, graph starter, held-out": False,
        "Corrections of the set twice: tiny with its adapter, graph starter, all": False,
    }
    assert text.count("The adapter was trained on 92% of these subjects") == 2
    with (tmp_path / "results.csv").open() as file:
        saw = {
            (r["dataset"], r["part"], r["model"]): r["adapter_saw"] for r in csv.DictReader(file)
        }
    assert [key for key, value in saw.items() if value == "True"] == [
        ("counterfact", "all", "tiny with its adapter")
    ]


def test_what_was_refused_is_listed(tmp_path: Path) -> None:
    one = unit("ROME", 2, 0, 1)
    edits = (dataclasses.replace(one.edits[0], refused="SubjectNotInPrompt"), one.edits[1])
    cases = (one.cases[0], dataclasses.replace(one.cases[1], refused="TextTooLong"))
    text = written(tmp_path, dataclasses.replace(one, edits=edits, cases=cases))
    assert "refused.csv lists" in text
    assert (tmp_path / "refused.csv").read_text().splitlines()[1:] == [
        "counterfact,tiny,ROME,2,0,0,edit,SubjectNotInPrompt",
        "counterfact,tiny,ROME,2,0,1,question,TextTooLong",
    ]
    assert "refused.csv" not in written(tmp_path, one)
    assert not (tmp_path / "refused.csv").exists()
