"""The file that llama.cpp is given has the model's own weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from bench.llama import LlamaCpp, llama_cpp, write, written


@pytest.fixture(params=[True, False])
def model(request: pytest.FixtureRequest) -> Any:
    """A small Llama, whose head has the embeddings' weights or its own."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=96,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=request.param,
    )
    return LlamaForCausalLM(config).eval()


def test_transformers_reads_the_same_model_back(model: Any, tmp_path: Path) -> None:
    write(model, tmp_path / "model.gguf", gguf.GGMLQuantizationType.F32)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf")
    ids = torch.arange(2, 20)[None]
    with torch.inference_mode():
        assert torch.allclose(again(ids).logits, model(ids).logits, atol=1e-5)


@pytest.mark.skipif(llama_cpp() is None, reason="llama-cpp-python is not installed")
def test_llama_cpp_says_what_the_model_says(model: Any, tmp_path: Path) -> None:
    peer = LlamaCpp(written(model, "float32", tmp_path), 64, threads=1)
    tokens = list(range(2, 20))
    with torch.inference_mode():
        expected = model(torch.tensor([tokens])).logits[0]
        following = model(torch.tensor([[*tokens, 30]])).logits[0, -1]
    found = torch.from_numpy(peer.read(tokens, logits=3).copy())
    assert torch.allclose(found, expected[-3:], atol=1e-2)
    assert peer.step(30) == int(following.argmax())
    peer.close()
