"""Fused layers compute what transformers' layers do, and leave the rest of the model as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from server.lm import forward as forwards
from server.lm.blocks import Segment
from server.lm.forward import BlockForward, Taps, choose_forward
from server.lm.fused import FusedLayer, can_be_fused, fuse, unfuse
from server.lm.packing import TokenSequence, pack
from server.lm.states import StateTap, layers_of
from tests.lm.folders import IDS

SHAPE: dict[str, Any] = {
    "vocab_size": 600,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LLAMA_SHAPED = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "llama with biases": lambda: LlamaForCausalLM(
        LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True)
    ),
    "llama with long heads": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, head_dim=16)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
}


def made(shape: str, number_format: torch.dtype = torch.float32) -> PreTrainedModel:
    torch.manual_seed(7)
    model: PreTrainedModel = LLAMA_SHAPED[shape]()
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0.5)
    return model.to(number_format).eval()


def blocks(model: PreTrainedModel) -> BlockForward:
    chosen = choose_forward(model, 64, Taps(StateTap(model, 1)))
    assert isinstance(chosen, BlockForward)
    return chosen


def is_fused(model: PreTrainedModel) -> bool:
    each = {isinstance(layer.forward, FusedLayer) for layer in layers_of(model)}
    assert len(each) == 1
    return each.pop()


def a_tree() -> Segment:
    texts = [(5, 6, 7, 8, 9, 10), (5, 6, 7, 11, 12), (5, 13, 14, 15), (16, 17)]
    (tree,) = pack([TokenSequence(text, 1) for text in texts], 99)
    return Segment.of_tree(tree, np.arange(len(tree.tokens)), keyed=[2, 5])


def told(forward: BlockForward) -> list[torch.Tensor]:
    """The logits and the states of a tree next to a stream, and of the stream's next steps."""
    prompt = Segment.of_stream(1, [20, 21, 22, 23, 24], 0, read_last=True)
    steps = [[a_tree(), prompt]]
    steps += [[Segment.of_stream(1, [n], n, read_last=True)] for n in range(5, 9)]
    results = [forward.run(segments) for segments in steps]
    forward.forget(1)
    return [*(one.logits for one in results), results[0].states]


@pytest.mark.parametrize("number_format", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", LLAMA_SHAPED)
def test_fused_layers_give_the_numbers_of_the_layers_that_they_replace(
    shape: str, number_format: torch.dtype
) -> None:
    """To what the number format resolves: the matrices are larger, and nothing else differs."""
    model = made(shape, number_format)
    forward = blocks(model)
    assert is_fused(model)
    fused = told(forward)
    unfuse(model)
    assert not is_fused(model)
    for found, expected in zip(fused, told(forward), strict=True):
        tolerance = 8 * torch.finfo(number_format).eps * float(expected.abs().max())
        assert torch.allclose(found, expected, rtol=0, atol=tolerance)


def test_a_pass_without_a_plan_is_transformers_own(llama_folder: Path) -> None:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.inference_mode():
        before = model(IDS, use_cache=False).logits
        written = model.generate(IDS, max_new_tokens=6, do_sample=False)
        blocks(model)
        assert is_fused(model)
        assert torch.equal(model(IDS, use_cache=False).logits, before)
        assert torch.equal(model.generate(IDS, max_new_tokens=6, do_sample=False), written)
    assert model.state_dict().keys() == weights.keys()
    assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())


def test_a_matrix_is_kept_once(llama_folder: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    fuse(model)
    layer = model.model.layers[1]
    for parts in (
        (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
        (layer.mlp.gate_proj, layer.mlp.up_proj),
    ):
        assert len({part.weight.untyped_storage().data_ptr() for part in parts}) == 1


def test_a_layers_state_is_read_where_a_hook_was_before(llama_folder: Path) -> None:
    """A tap listens from before the layers are fused."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    forward = choose_forward(model, 64, Taps(StateTap(model, 2)))
    assert is_fused(model)
    fused = forward.run([a_tree()]).states
    unfuse(model)
    assert fused.shape == (2, 48)
    assert torch.allclose(fused, forward.run([a_tree()]).states, atol=1e-5)


def test_fusing_again_changes_nothing(llama_folder: Path) -> None:
    """A model may be served twice in one process."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    blocks(model)
    first = [layer.forward for layer in layers_of(model)]
    blocks(model)
    assert [layer.forward for layer in layers_of(model)] == first


def test_other_models_are_left_alone(gpt2_folder: Path) -> None:
    """Qwen 3 norms its queries and keys, which a fused layer would not."""
    for model in (
        Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=12)).eval(),
        AutoModelForCausalLM.from_pretrained(gpt2_folder).eval(),
    ):
        assert not can_be_fused(model)
        assert isinstance(choose_forward(model, 64, Taps(StateTap(model, 1))), BlockForward)
        assert not is_fused(model)


def test_layers_whose_trial_gives_other_numbers_are_not_fused(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As a future version of transformers may: here the rotation is left out."""
    monkeypatch.setattr("server.lm.fused._rotated", lambda heads, cos, sin: heads)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    blocks(model)
    assert not is_fused(model)
    assert "not fused" in caplog.text


def test_layers_that_cannot_be_fused_after_all_run_as_they_are(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(model: PreTrainedModel) -> None:
        fuse(model)
        raise AttributeError("no such part")

    monkeypatch.setattr(forwards, "fuse", fails)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    told(blocks(model))
    assert not is_fused(model)
    assert "no such part" in caplog.text
