"""The learning template's own adapter changes the tokens that are its own, and no others."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from server.errors import ModelUnusable
from server.lm.blocks import Segment
from server.lm.forward import BlockForward, MaskedForward, Taps, choose_forward
from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.states import StateTap
from server.lm.template_adapter import FOLDER, TARGETS

_TOKENS = [5, 6, 7, 8]


@pytest.fixture
def both(llama_folder: Path, adapter: Path) -> Path:
    """An adapter with one of the learning template's in it."""
    torch.manual_seed(6)
    config = LoraConfig(
        r=4, target_modules=list(TARGETS), init_lora_weights=False, task_type="CAUSAL_LM"
    )
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(llama_folder), config)
    model.save_pretrained(adapter / FOLDER)
    return adapter


def loaded(model: Path, adapter: Path) -> LoadedModel:
    return load(ModelChoice(str(model), str(adapter), device="cpu", number_format="float32"))


def taps_of(of: LoadedModel) -> Taps:
    return Taps(StateTap(of.model, 1), of.learning)


def stream(number: int, *, learning: bool) -> Segment:
    of = Segment.of_stream(number, _TOKENS, 0, read_last=True)
    return replace(of, learning=learning, read=np.arange(len(_TOKENS)))


@pytest.mark.parametrize("in_blocks", [True, False])
def test_the_templates_tokens_are_read_with_both_adapters_and_the_others_with_one(
    llama_folder: Path, both: Path, in_blocks: bool
) -> None:
    ids = torch.tensor([_TOKENS])
    with torch.inference_mode():
        merged = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(llama_folder), str(both)
        ).merge_and_unload()
        one = merged(ids).logits[0]
        two = PeftModel.from_pretrained(merged, str(both / FOLDER))(ids).logits[0]
    model = loaded(llama_folder, both)
    taps = taps_of(model)
    forward = (
        choose_forward(model.model, 3, taps) if in_blocks else MaskedForward(model.model, taps)
    )
    assert isinstance(forward, BlockForward) == in_blocks
    found = forward.run([stream(1, learning=False), stream(2, learning=True)]).logits
    assert not torch.allclose(one, two, atol=1e-2)
    assert torch.allclose(found[: len(one)], one, atol=1e-4)
    assert torch.allclose(found[len(one) :], two, atol=1e-4)


def test_what_shares_a_pass_with_the_template_gets_the_same_numbers(
    llama_folder: Path, both: Path
) -> None:
    model = loaded(llama_folder, both)
    forward = choose_forward(model.model, 64, taps_of(model))
    beside = [
        forward.run([stream(n, learning=False), stream(n + 1, learning=learning)]).logits
        for n, learning in ((1, True), (3, False))
    ]
    assert torch.equal(beside[0][: len(_TOKENS)], beside[1][: len(_TOKENS)])
    assert not torch.equal(*beside)


def test_an_adapter_without_one_has_none(llama_folder: Path, adapter: Path) -> None:
    assert loaded(llama_folder, adapter).learning is None


@pytest.mark.parametrize("wrong", ["place", "shape", "single"])
def test_one_that_does_not_fit_is_refused_by_name(
    llama_folder: Path, both: Path, wrong: str
) -> None:
    path = both / FOLDER / "adapter_model.safetensors"
    weights = load_file(path)
    key = next(key for key in weights if ".lora_A." in key)
    if wrong == "place":
        weights = {name.replace("o_proj", "q_proj"): w for name, w in weights.items()}
    elif wrong == "shape":
        weights[key] = torch.zeros(4, 7)
    else:
        del weights[key]
    save_file(weights, path)
    with pytest.raises(ModelUnusable, match=f"{FOLDER} does not fit the model"):
        loaded(llama_folder, both)


def test_a_damaged_one_is_said(llama_folder: Path, both: Path, tmp_path: Path) -> None:
    whole = shutil.copytree(both, tmp_path / "damaged")
    (whole / FOLDER / "adapter_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelUnusable):
        loaded(llama_folder, whole)
