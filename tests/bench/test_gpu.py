"""The measurement for a GPU runs on the processor, with tiny shapes, on all of its paths."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import workload
from bench.gpu import __main__ as command
from bench.gpu import peer
from bench.gpu.__main__ import Measuring, lacking, main, without_a_gpu
from bench.gpu.calls import Plan, calls
from bench.gpu.table import table
from bench.gpu.told import RELATIONS, Texts, tell
from bench.inprocess import in_process
from bench.models import MeasuredModel, random_weights
from bench.words import word_tokenizer
from server.graph.triple import verbalize
from server.lm.transformers_model import TransformersModel
from server.tuning.answer import AnswerQuery
from server.tuning.ports import Branch, GenerateRequest
from server.tuning.relations import parse_relations
from server.tuning.templates import extraction_prompt, reasoning_prompt

TRIPLES = 6
QUICK = ["--n", str(TRIPLES), "--corrections", "2", "--answers", "3", "--rounds", "1"]


@pytest.fixture(scope="module", params=["tiny-llama", "tiny-gpt2"])
def subject(request: pytest.FixtureRequest) -> MeasuredModel:
    return random_weights(request.param, word_tokenizer(), "cpu", "float32")


@pytest.fixture
def told(subject: MeasuredModel) -> Iterator[TransformersModel]:
    model = TransformersModel(subject.loaded, token_budget=64)
    tell(model, subject.loaded.tokenizer, TRIPLES)
    yield model
    model.close()


async def generated(model: TransformersModel, prompt: str) -> str:
    return "".join([piece.text async for piece in model.generate(GenerateRequest(prompt, 60))])


# The whole measurement


def test_everything_is_measured_with_both_families(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--device", "cpu", "--streams", "1,3", "--vllm", "", *QUICK])
    printed = capsys.readouterr().out
    lines = json.loads(printed.splitlines()[-1])
    assert [line["model"] for line in lines] == ["tiny-llama", "tiny-gpt2"]
    for line in lines:
        assert line["failed"] == []
        assert line["number_format"] == "bfloat16"
        ranked, made = line["personalize"]
        assert (ranked["relations"], ranked["forward_passes"]) == ("ranked", 1)
        assert (made["relations"], ranked["tokens_generated"]) == ("generated", 0)
        assert made["tokens_generated"] > len(RELATIONS)
        assert all(found["requests"] == 2 for found in (ranked, made))
        assert [found["streams"] for found in line["answers"]] == [1, 3]
        assert [found["requests"] for found in line["answers"]] == [4, 12]
        assert [step["streams"] for step in line["passes"]["steps"]] == [1, 3]
        assert line["scoring"]["seconds"].keys() == {"engine", "loop", "padded", "floor"}
    assert table(lines) in printed
    assert "vLLM is not installed here" in printed


async def test_once_time_is_up_no_other_correction_begins(subject: MeasuredModel) -> None:
    found = await calls(subject, Plan(TRIPLES, 9, [1], 1, is_over=lambda: True))
    assert [kind["requests"] for kind in found["personalize"]] == [1, 1]


def test_a_part_that_fails_costs_no_other_part(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> dict[str, Any]:
        raise torch.OutOfMemoryError("no memory is left")

    measuring = Measuring({"model": "some", "n": 1, "failed": []})
    measuring.part("calls", fails)
    measuring.part("scoring", lambda: {"scoring": {"seconds": {"engine": 0.5}}})
    assert measuring.line["failed"] == ["calls"]
    assert "no memory is left" in capsys.readouterr().out
    assert table([measuring.line]).splitlines()[2:] == ["| scoring 1 triples, engine: ms | 500.0 |"]


def test_a_failed_part_is_told_by_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> dict[str, Any]:
        raise RuntimeError("an illegal memory access")

    monkeypatch.setattr(command, "passes", fails)
    models = ["--models", "tiny-gpt2", "--streams", "1", "--vllm", ""]
    with pytest.raises(SystemExit) as ended:
        main(["--device", "cpu", *models, *QUICK])
    assert ended.value.code == 1
    (line,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["failed"] == ["passes"]
    assert line["scoring"]["seconds"]["engine"] > 0


# The device


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_what_it_needs() -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    said = str(ended.value)
    assert said == without_a_gpu(["llama-3-8b", "gpt2-xl"])
    assert "No GPU was found" in said
    assert "llama-3-8b: 18.2 GB" in said
    assert "--device cpu" in said


def test_a_model_that_does_not_fit_is_left_out_with_the_reason() -> None:
    assert lacking("gpt2-xl", 4 * 10**9) == "it needs 5.3 GB, and 4.0 GB are free"
    assert lacking("gpt2-xl", 6 * 10**9) == ""
    assert lacking("gpt2-xl", None) == ""


# The told texts


def test_relations_are_told_that_the_method_reads() -> None:
    texts = Texts(word_tokenizer(), TRIPLES)
    said = texts.said_after(extraction_prompt("What does a dog enjoy?", "meat", "dog", "meat", 5))
    assert parse_relations(said or "", workload.VOCABULARY, 5) == RELATIONS


def test_the_answer_told_is_a_facts_tail() -> None:
    texts = Texts(word_tokenizer(), TRIPLES)
    facts = [verbalize(z, workload.VOCABULARY) for z in workload.triples("dog", TRIPLES)]
    first = workload.triples("dog", TRIPLES)[0].tail.text
    assert texts.said_after(reasoning_prompt("What?", facts[:3])) == f" {first}"
    taught = [facts[0], f"dog likes {workload.FEEDBACK}"]
    assert texts.said_after(reasoning_prompt("What?", taught)) == f" {workload.FEEDBACK}"
    assert texts.said_after(reasoning_prompt("What?", ["a fact of nobody's"])) is None
    assert texts.said_after("What?") is None


async def test_several_generations_at_once_write_what_they_are_told(
    told: TransformersModel, subject: MeasuredModel
) -> None:
    """Their prompts are longer than a pass."""
    texts = Texts(subject.loaded.tokenizer, TRIPLES)
    prompts = []
    for concept in workload.subjects(4):
        facts = [verbalize(z, workload.VOCABULARY) for z in workload.triples(concept, TRIPLES)]
        prompts.append(reasoning_prompt(workload.query(concept), facts))
    prompts.append(extraction_prompt("What does a dog enjoy?", "meat", "dog", "meat", 5))
    found = await asyncio.gather(*(generated(told, prompt) for prompt in prompts))
    assert found == [texts.said_after(prompt) for prompt in prompts]


async def test_probabilities_stay_the_models_own(
    told: TransformersModel, subject: MeasuredModel
) -> None:
    branches = [Branch("dog likes", (" meat", " the old ball")), Branch("What?", (" meat",))]
    model = TransformersModel(subject.loaded, token_budget=64)
    try:
        assert (await told.score(branches)).logprobs == (await model.score(branches)).logprobs
    finally:
        model.close()


async def test_an_answer_goes_the_whole_way(told: TransformersModel) -> None:
    async with in_process(told, 3, TRIPLES) as use:
        answer = await use.answerer.answer(AnswerQuery("somebody", workload.query("dog")))
    assert answer.evidence.subject.concept.text == "dog"
    assert answer.text == answer.evidence.facts[0].viewed.triple.tail.text


def test_each_word_of_the_workload_is_one_token() -> None:
    tokenizer = word_tokenizer()
    (prompt,) = {workload.query("dog")}
    assert tokenizer.decode(tokenizer(prompt).input_ids, skip_special_tokens=True) == prompt
    tails = {z.tail.text for z in workload.triples("dog", 50)}
    for word in {word for tail in tails for word in tail.split()}:
        assert len(tokenizer(f" {word}", add_special_tokens=False).input_ids) == 1


# vLLM


@pytest.fixture
def question() -> peer.PeerQuestion:
    subject = random_weights("tiny-llama", word_tokenizer(), "cpu", "bfloat16")
    return peer.PeerQuestion.about(subject.model, [[1, 5, 6], [1, 7]], rounds=1)


def test_vllm_is_asked_for_the_same_tokens_by_a_model_of_that_shape(
    question: peer.PeerQuestion,
) -> None:
    assert question.config["architectures"] == ["LlamaForCausalLM"]
    assert question.config["hidden_size"] == 64
    assert question.asked["texts"] == [[1, 5, 6], [1, 7]]
    assert question.asked["context_tokens"] == 4
    assert question.asked["number_format"] == "bfloat16"


def python(folder: Path, code: str) -> str:
    """An interpreter that runs `code` in place of the script that it is given."""
    script = folder / "python"
    script.write_text(f"#!{sys.executable}\n{code}\n")
    script.chmod(0o755)
    return str(script)


def test_what_vllm_takes_is_read_from_its_process(
    question: peer.PeerQuestion, tmp_path: Path
) -> None:
    code = "import json, sys; json.dump({'seconds': 2}, open(f'{sys.argv[2]}/found.json', 'w'))"
    assert peer.vllm_seconds(python(tmp_path, code), question, 60) == 2.0


def test_a_python_without_vllm_is_told_and_costs_nothing_else(
    question: peer.PeerQuestion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    isolated = python(tmp_path, "import sys; sys.path.clear(); import vllm")
    assert peer.vllm_seconds(isolated, question, 60) is None
    assert "No module named 'vllm'" in capsys.readouterr().out


def test_vllm_is_stopped_when_its_time_is_up(
    question: peer.PeerQuestion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = python(tmp_path, "import signal; signal.pause()")
    assert peer.vllm_seconds(waits, question, 0.2) is None
    assert "vLLM was stopped" in capsys.readouterr().out
