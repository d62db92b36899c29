"""The whole command on a tiny model and reference data of made-up people."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from evaluation.__main__ import main
from evaluation.paper import editing, running
from evaluation.paper.journal import Journal
from evaluation.paper.units import EditRecord, Unit, Units
from tests.lm.tiny_models import tiny_tokenizer

ROOT = Path(__file__).parent.parent.parent.parent
Run = Callable[..., Path]


@pytest.fixture
def arguments(
    model_folder: Path,
    model_cache: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    monkeypatch.setenv("KGT_CACHE", str(model_cache))
    return [
        *("run", "--model", str(model_folder), "--data", str(data), "--base", "starter"),
        *("--sizes", "1,3", "--foreign", "2", "--out", str(tmp_path / "out")),
    ]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def units(out: Path) -> dict[tuple[str, int, int], Unit]:
    return {(u.method, u.size, u.seed): u for u in Units(out)}


def stop_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, number: int) -> list[Any]:
    """Let the run be stopped in the call with this number, from 1 on; returns all calls."""
    called = getattr(module, name)
    calls: list[Any] = []

    def stopping(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == number:
            raise KeyboardInterrupt
        return called(*given)

    monkeypatch.setattr(module, name, stopping)
    return calls


def gpt2_shape(folder: Path, positions: int) -> Path:
    """A tiny model of GPT-2's shape whose context has so many tokens."""
    torch.manual_seed(3)
    config = GPT2Config(vocab_size=600, n_positions=positions, n_embd=32, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tiny_tokenizer(begins=False).save_pretrained(folder)
    return folder


def whole(arguments: list[str], out: Path) -> dict[tuple[str, int, int], Unit]:
    """The same in another folder, without a stop."""
    folder = out.with_name("whole")
    assert main([*arguments, "--out", str(folder)]) == 0
    return units(folder)


def test_every_method_size_and_seed_is_a_unit_and_the_tables_show_it(
    arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = ["--method", "no edit, KGT literal", "--method", "in-context"]
    assert main([*arguments, *methods, "--seeds", "2"]) == 0
    done = units(out)
    names = ("KGT literal", "no edit", "in-context")
    assert set(done) == {(m, s, seed) for m in names for s in (1, 3) for seed in (0, 1)}
    unit = done["KGT literal", 3, 1]
    assert [edit.case for edit in unit.edits] == [case.case for case in unit.cases]
    assert len({case.case for case in unit.cases}) == 3
    assert unit.foreign_asked == len(unit.foreign_nlls) == 2
    assert all(edit.ms > 0 and edit.peak_mb > 0 for edit in unit.edits)

    document = (out / "README.md").read_text()
    assert "python -m evaluation run" in document
    assert "### 3 cases edited" in document
    assert "[" in next(line for line in document.splitlines() if line.startswith("| no edit |"))
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["seeds"] for row in rows if row["metric"] == "efficacy"} == {"2"}
    (plot,) = out.glob("*-sizes.svg")
    printed = capsys.readouterr()
    assert "on two cores with the model that ships: " in printed.err
    assert plot.with_suffix(".png").exists()
    assert plot.name in document
    figures = json.loads(printed.out.splitlines()[-1])
    assert figures["measurement"] == "run"


def test_an_unedited_system_keeps_every_answer(arguments: list[str], out: Path) -> None:
    assert main([*arguments, "--method", "no edit,model alone"]) == 0
    for unit in units(out).values():
        assert unit.foreign_changed == 0
        for case in unit.cases:
            assert case.metrics["other subjects kept"] in (None, 1.0)
            assert case.metrics["same subject kept"] in (None, 1.0)


def test_a_size_is_what_it_would_be_by_itself(arguments: list[str], out: Path) -> None:
    """The sizes are one run of edits, and scoring the first changes nothing."""
    assert main([*arguments, "--method", "KGT literal"]) == 0
    together = units(out)["KGT literal", 3, 0].cases
    alone = out.with_name("alone")
    again = [*arguments[:-1], str(alone), "--sizes", "3", "--method", "KGT literal"]
    assert main(again) == 0
    assert units(alone)["KGT literal", 3, 0].cases == together


def test_a_run_goes_on_where_it_was_stopped(
    arguments: list[str],
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C among the second method's edits: the first one's units stay as they are."""
    calls = stop_at(monkeypatch, editing, "edited", 5)
    wanted = [*arguments, "--method", "no edit,in-context"]
    assert main(wanted) == 130
    assert "goes on from here" in capsys.readouterr().err
    before = units(out)
    assert set(before) == {("no edit", 1, 0), ("no edit", 3, 0), ("in-context", 1, 0)}
    assert main(wanted) == 0
    assert len(calls) == 5 + 3, "what is remembered in no file is edited again"
    after = units(out)
    assert {key: after[key] for key in before} == before
    assert after["in-context", 3, 0].cases == whole(wanted, out)["in-context", 3, 0].cases


@pytest.mark.parametrize("method", ["KGT default", "FT"])
def test_a_method_goes_on_among_its_edits(
    method: str, arguments: list[str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in its third edit: the first two are not made again."""
    calls = stop_at(monkeypatch, editing, "edited", 3)
    wanted = [*arguments, "--sizes", "3", "--method", method]
    assert main(wanted) == 130
    assert main(wanted) == 0
    assert len(calls) == 3 + 1
    resumed = units(out)[method, 3, 0]
    assert [edit.case for edit in resumed.edits] == [case.case for case in resumed.cases]
    once = whole(wanted, out)[method, 3, 0]
    assert [case.metrics for case in resumed.cases] == [case.metrics for case in once.cases]
    assert [case.answer for case in resumed.cases] == [case.answer for case in once.cases]
    assert [edit.triples for edit in resumed.edits] == [edit.triples for edit in once.edits]
    assert resumed.foreign_nlls == pytest.approx(once.foreign_nlls)


def test_a_method_goes_on_among_its_scores_and_to_a_larger_size(
    arguments: list[str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = stop_at(monkeypatch, editing, "edited", 0)
    scores = stop_at(monkeypatch, running, "scored", 2)
    wanted = [*arguments, "--method", "FT", "--sizes"]
    assert main([*wanted, "3"]) == 130
    assert main([*wanted, "3"]) == 0
    assert (len(edits), len(scores)) == (3, 2 + 2)
    assert main([*wanted, "3,5"]) == 0
    assert len(edits) == 5, "the first three are those of the smaller size"
    assert units(out)["FT", 5, 0].cases == whole([*wanted, "5"], out)["FT", 5, 0].cases


def test_edits_of_another_setup_or_of_other_cases_are_made_again(
    arguments: list[str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = stop_at(monkeypatch, editing, "edited", 3)
    wanted = [*arguments, "--sizes", "4", "--method", "FT"]
    assert main(wanted) == 130
    (file,) = out.rglob("journal.jsonl")
    text = file.read_text()
    file.write_text(text.replace('"dataset": "counterfact"', '"dataset": "another"'))
    assert main(wanted) == 0
    assert len(calls) == 3 + 4

    (unit,) = Units(out)
    folder = file.parent
    other = Journal(folder, unit.setup)
    assert not other.resumable([])
    other.add_edit(0, EditRecord("another case", 1.0, 1.0))
    for path in (out / "work" / "units").rglob("*.json"):
        path.unlink()
    assert main(wanted) == 0
    assert len(calls) == 3 + 4 + 4


def test_a_killed_run_leaves_whole_units_and_goes_on(arguments: list[str], out: Path) -> None:
    command = [sys.executable, "-m", "evaluation", *arguments, "--method", "no edit,in-context"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(os.environ),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None and not list((out / "work" / "units").rglob("*.json")):
            pass
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait()
    assert units(out)
    assert main([*arguments, "--method", "no edit,in-context"]) == 0
    assert len(units(out)) == 4


def test_units_of_another_model_are_not_mixed_in(
    arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--method", "model alone"]) == 0
    for path in (out / "work" / "units").rglob("*.json"):
        row = json.loads(path.read_text())
        row["setup"]["fingerprint"] = "another"
        path.write_text(json.dumps(row))
    assert main([*arguments, "--method", "model alone"]) == 2
    assert "name another folder with --out" in capsys.readouterr().err


def test_what_cannot_be_used_is_counted_and_listed(
    arguments: list[str], data: Path, out: Path
) -> None:
    file = data / "counterfact.jsonl"
    row = json.loads(file.read_text().splitlines()[0])
    file.write_text(f"{file.read_text()}{json.dumps({**row, 'subject': 'Nobody'})}\n{{\n")
    assert main([*arguments, "--method", "model alone"]) == 0
    (file,) = out.glob("left_out-*.csv")
    listed = file.read_text()
    assert "counterfact.jsonl:241,SubjectNotInPrompt" in listed
    assert "counterfact.jsonl:242,MalformedLine,not JSON" in listed
    document = (out / "README.md").read_text()
    assert f"1 MalformedLine, 1 SubjectNotInPrompt ({file.name} lists them)" in document


def lengthen(data: Path, ending: str) -> None:
    """Let cases whose prompt ends so have a paraphrase that is longer than half of the context."""
    file = data / "counterfact.jsonl"
    rows = list(map(json.loads, file.read_text().splitlines()))
    for row in rows:
        if row["prompt"].endswith(ending):
            row["rephrase_prompt"] = f"{'It rained. ' * 200}{row['prompt']}"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_a_case_that_the_model_cannot_hold_is_listed_and_the_others_are_tested(
    arguments: list[str], data: Path, out: Path
) -> None:
    lengthen(data, "was born in")
    assert main([*arguments, "--method", "model alone", "--sizes", "8"]) == 0
    (listed,) = out.glob("left_out-*.csv")
    with listed.open() as file:
        kinds = {row["kind"]: row["why"] for row in csv.DictReader(file)}
    assert kinds.keys() == {"TooLong", "TooLongToFit"}
    assert "512 of the model's context are free" in kinds["TooLong"]
    assert all(len(unit.cases) == unit.size for unit in Units(out))


def test_a_model_that_can_hold_no_prompt_is_refused_with_what_is_left_out(
    arguments: list[str], data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lengthen(data, "")
    assert main([*arguments, "--method", "model alone"]) == 2
    assert re.search(r"no case can be tested; left out: \d+ TooLong", capsys.readouterr().err)
    assert not list(Units(out))


def test_the_extension_is_built_where_no_file_is_named(arguments: list[str], out: Path) -> None:
    wanted = [*arguments, "--dataset", "extension", "--method", "model alone"]
    assert main(wanted) == 0
    assert {unit.setup.dataset for unit in Units(out)} == {"extension"}
    assert "Table 2, CounterFactExtension" in (out / "README.md").read_text()


@pytest.mark.parametrize("base", ["conceptnet", "truth"])
def test_other_base_graphs_are_built(base: str, arguments: list[str], out: Path) -> None:
    assert main([*arguments, "--base", base, "--method", "no edit"]) == 0
    text = (out / "work" / "bases" / f"counterfact-{base}.tsv").read_text()
    assert ("yak\tDesires\tgrass" in text) == (base == "conceptnet")
    assert ("Person Number1\tplace of birth\tTown" in text) == (base == "truth")


def test_any_causal_model_is_taken_by_its_folder(arguments: list[str], out: Path) -> None:
    folder = gpt2_shape(out.with_name("gpt2-shape"), positions=1024)
    methods = "no edit,KGT literal,KGT default,model alone,in-context,nearest cases"
    assert main([*arguments, "--model", str(folder), "--sizes", "1", "--method", methods]) == 0
    done = list(Units(out))
    assert {unit.method for unit in done} == set(methods.split(","))
    assert {unit.setup.model for unit in done} == {"gpt2-shape"}
    assert not any(edit.refused for unit in done for edit in unit.edits)


def test_an_unknown_method_and_an_empty_file_are_named(
    arguments: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--method", "magic"]) == 2
    assert "no method is called 'magic'" in capsys.readouterr().err
    (data / "counterfact.jsonl").write_text("")
    assert main([*arguments, "--method", "no edit"]) == 2
    assert "has no case that can be used" in capsys.readouterr().err
