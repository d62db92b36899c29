"""Packed linear layers: the same numbers and the same weights, in another order in memory."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from server.lm.loading import ModelChoice, load
from server.lm.packed import PackedLinear, pack
from tests.lm.folders import IDS

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch._C._has_mkldnn,
    reason="weights are packed for x86 processors only",
)


def model_of(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 7), (3, 7), (1, 1, 7), (2, 5, 7), (0, 7)])
def test_a_packed_layer_gives_the_layers_numbers(bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    linear = nn.Linear(7, 11, bias=bias)
    given = torch.randn(shape)
    with torch.inference_mode():
        assert torch.allclose(PackedLinear(linear)(given), linear(given), atol=1e-6)


def test_a_packed_model_says_what_the_model_says(family_folder: Path) -> None:
    model = model_of(family_folder)
    with torch.inference_mode():
        before = model(IDS).logits
        pack(model)
        assert any(isinstance(module, PackedLinear) for module in model.modules())
        assert torch.allclose(model(IDS).logits, before, atol=1e-4)


def test_every_weight_is_still_told(family_folder: Path) -> None:
    """Also those of a head that had the embeddings' own."""
    model = model_of(family_folder)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    pack(model)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_only_float32_is_packed(llama_folder: Path) -> None:
    """In bfloat16 it takes as long either way."""
    for number_format, packed in (("float32", True), ("bfloat16", False)):
        choice = ModelChoice(
            str(llama_folder),
            "none",
            device="cpu",
            number_format=number_format,  # type: ignore[arg-type]
        )
        found = any(isinstance(module, PackedLinear) for module in load(choice).model.modules())
        assert found is packed
