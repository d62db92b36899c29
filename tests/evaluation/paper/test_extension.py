from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.paper.extension import build, write
from evaluation.paper.pararel import ParaRel
from evaluation.paper.reading import read_dataset


def test_the_same_seed_gives_the_same_bytes(data: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.json", "two.json", "other.json")]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        write(build(ParaRel(data), seed), file)
    one, two, other = (file.read_bytes() for file in files)
    assert one == two
    assert one != other


def test_a_sample_is_what_the_papers_appendix_shows(data: Path) -> None:
    samples = build(ParaRel(data), 0).samples
    relations = [sample["requested_rewrite"]["relation_id"] for sample in samples]
    assert relations == sorted(relations), "relations in string order"
    first = samples[0]["requested_rewrite"]
    assert first["prompt"] == "The official religion of {} is "
    assert first["relation_id"] == "P140(religion)"
    assert first["target_true"] == {"str": "Faith0"}
    assert samples[0]["generation_prompts"] == [f"{first['subject']} follows the religion of"]


def test_the_other_object_is_of_the_relation_and_true_in_none(data: Path) -> None:
    pararel = ParaRel(data)
    for sample in build(pararel, 3).samples:
        rewrite = sample["requested_rewrite"]
        relation, new = rewrite["relation_id"].partition("(")[0], rewrite["target_new"]["str"]
        assert new in pararel.objects[relation]
        assert new not in [known.object for known in pararel.about[rewrite["subject"]]]


def test_a_relation_with_one_pattern_has_no_paraphrase_and_is_counted(data: Path) -> None:
    built = build(ParaRel(data), 0)
    without = [s for s in built.samples if not s["generation_prompts"]]
    assert built.without_paraphrase == len(without) > 0
    assert {s["requested_rewrite"]["relation_id"] for s in without} == {"P495(country of origin)"}


def test_a_pair_without_another_object_is_listed(data: Path) -> None:
    pairs = {"P19": [["Ann", "Rome"], ["Bob", "Rome"]], "P140": [["Ann", "Zen"], ["Bob", "Tao"]]}
    (data / "pararel" / "query_pairs.json").write_text(json.dumps(pairs))
    built = build(ParaRel(data), 0)
    assert len(built.samples) == 2
    assert built.left_out == (
        "pair 2 of P19 lacks another object",
        "pair 3 of P19 lacks another object",
    )


def test_the_command_says_how_many_the_paper_has(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "folder" / "extension.json"
    arguments = ["build-extension", "--data", str(data), "--out", str(file), "--seed", "7"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    figures = json.loads(told.splitlines()[-1])
    assert "where the paper has 27,737" in told
    assert figures["samples"] == len(read_dataset("extension", file, "").cases)
