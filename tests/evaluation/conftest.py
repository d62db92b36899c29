"""What tests of the paper's tables share: a tiny model, and reference data with made-up people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

from evaluation.methods.setting import EvalModel
from server.settings import read_settings
from tests.lm.tiny_models import llama_config, tiny_tokenizer
from tests.training.reference_data import CITIES, FAITHS, PEOPLE, write_reference_data

LABELS = {"P19": "place of birth", "P140": "religion", "P495": "country of origin"}


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama-style model whose context holds all of the service's templates."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(4)
    config = llama_config()
    config.max_position_embeddings = 1024
    LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer(begins=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the rule for the model's keys is kept."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def eval_model(model_folder: Path, model_cache: Path, tmp_path: Path) -> Iterator[EvalModel]:
    """The tiny model over an empty store."""
    arguments = ["--model", str(model_folder), "--cache", str(model_cache), "--store", "sqlite"]
    settings = read_settings([*arguments, "--data", str(tmp_path / "store"), "--dtype", "float32"])
    model = EvalModel(settings, tmp_path / "kept")
    yield model
    model.release()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Reference data, with CounterFact's cases as the public flat form has them."""
    folder = write_reference_data(tmp_path / "data")
    rows = ({"relation": relation, "label": label} for relation, label in LABELS.items())
    (folder / "pararel" / "relations.jsonl").write_text("".join(map(_line, rows)))
    (folder / "counterfact.jsonl").write_text("".join(map(_line, flat_cases())))
    return folder


def flat_cases() -> Iterator[dict[str, Any]]:
    """Each of the people in two relations."""
    for number, person in enumerate(PEOPLE):
        yield flat_case(2 * number, person, "{} was born in", CITIES)
        yield flat_case(2 * number + 1, person, "The official religion of {} is", FAITHS)


def flat_case(number: int, person: str, form: str, objects: list[str]) -> dict[str, Any]:
    """One case in the flat form."""
    return {
        "case_id": number,
        "prompt": form.format(person),
        "subject": person,
        "target_new": objects[(number + 1) % len(objects)],
        "ground_truth": objects[number % len(objects)],
        "rephrase_prompt": f"It rained all day. {form.format(person)}",
        "locality_prompt": form.format("Somebody Else"),
        "locality_ground_truth": objects[number % len(objects)],
    }


def _line(row: dict[str, Any]) -> str:
    return f"{json.dumps(row)}\n"
