"""Models to be measured, and the clocks and memory of their devices."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from server.lm.attention import BLOCKS
from server.lm.device import Device, NumberFormat, choose_device, choose_number_format
from server.lm.folders import cache_folder
from server.lm.keys import KeyRule
from server.lm.loading import LoadedModel, ModelChoice, load

SHAPES: dict[str, PreTrainedConfig] = {
    "gpt2": GPT2Config(),
    "gpt2-xl": GPT2Config(n_embd=1600, n_layer=48, n_head=25),
    "llama-3-8b": LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5},
    ),
    "tiny-gpt2": GPT2Config(n_embd=64, n_layer=2, n_head=2),
    "tiny-llama": LlamaConfig(
        vocab_size=50_257,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
    ),
}
"""Shapes of known models, measured with random weights, and two that are only there to be tried."""


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A model under measurement."""

    name: str
    loaded: LoadedModel

    @property
    def model(self) -> PreTrainedModel:
        return self.loaded.model

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights, shared ones counted once."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())


def load_measured(name: str, device_wanted: Device, format_wanted: NumberFormat) -> MeasuredModel:
    """The default model with its adapter, or random weights in one of the known shapes.

    The latter have the default model's tokenizer.
    """
    choice = ModelChoice(cache=cache_folder(), device=device_wanted, number_format=format_wanted)
    if name == "default":
        return MeasuredModel(name, load(choice))
    tokenizer = load(replace(choice, device="cpu", adapter="none")).tokenizer
    return random_weights(name, tokenizer, device_wanted, format_wanted)


def random_weights(
    name: str,
    tokenizer: PreTrainedTokenizerBase,
    device_wanted: Device,
    format_wanted: NumberFormat,
) -> MeasuredModel:
    """Random weights in one of the known shapes, the same in every run, made on the device."""
    device = choose_device(device_wanted)
    number_format = choose_number_format(format_wanted, device)
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(SHAPES[name], dtype=number_format).eval()
    context = model.config.max_position_embeddings
    width = model.config.hidden_size
    keys = KeyRule(1, np.zeros(width, np.float32), floor=1.0, sure=1.0, fingerprint=name)
    return MeasuredModel(name, LoadedModel(model, tokenizer, context, name, "", keys))


def shape_bytes(name: str, number_format: torch.dtype) -> int:
    """Bytes of the weights of a known shape, without making them."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(SHAPES[name], dtype=number_format)
    return sum(p.numel() * p.element_size() for p in model.parameters())


@contextmanager
def attention(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Run the model with the attention `name`, so that others use nothing of the engine."""
    model.set_attn_implementation(name)
    yield
    model.set_attn_implementation(BLOCKS)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that `work` takes, the better of two runs."""
    took = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        wait(device)
        took.append(time.perf_counter() - started)
    return min(took)


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Start to measure the peak of memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (reset := Path("/proc/self/clear_refs")).exists():
        reset.write_text("5")


def peak_bytes(device: torch.device) -> int | None:
    """The peak of memory: torch's on a GPU, else the process's resident set, where it is known."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return None


def held_bytes(device: torch.device) -> int | None:
    """The most that torch has taken from a GPU, free pieces included; None on a processor."""
    return int(torch.cuda.max_memory_reserved(device)) if device.type == "cuda" else None


def free_bytes(device: torch.device) -> int | None:
    """The memory of a GPU that nothing has taken; None on a processor."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


def release(device: torch.device) -> None:
    """Give back the memory of models that are no longer used."""
    gc.collect()  # a model that is listened to refers to itself
    if device.type == "cuda":
        torch.cuda.empty_cache()


def device_name(device: torch.device) -> str:
    """The device's name for a reader of the figures."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
