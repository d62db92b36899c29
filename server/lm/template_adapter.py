"""An adapter of one template, applied to some of a pass's tokens only.

The adapter that is merged into the weights (server.lm.adapters) is for all templates. Where a
folder of an adapter has a second one in it, prompts of the learning template are read with both.
Requests of all kinds still share passes, as in S-LoRA (Sheng et al. 2023), and what the others get
does not change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedModel

from server.errors import ModelUnusable
from server.lm.packing import Indices
from server.lm.states import layers_of
from server.lm.whole import ADAPTER_CONFIG, first_line, require_json, require_safetensors

FOLDER = "learning"
"""Where an adapter's folder has the learning template's own."""
TARGETS = ("o_proj", "down_proj")
"""What it may change: the layers' two outputs, which are modules of their own in every pass."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What is added to a linear layer's output: B A x, times the scale that is in B."""

    down: torch.Tensor  # A: (rank, in features)
    up: torch.Tensor  # B, scaled: (out features, rank)


class TemplateAdapter:
    """Low-rank changes to a model's layers, for the tokens that are named before a pass."""

    def __init__(self, model: PreTrainedModel, changes: dict[str, _Change]) -> None:
        self._device = model.device
        self._tokens: torch.Tensor | None = None
        modules = dict(model.named_modules())
        for name, change in changes.items():
            modules[name].register_forward_hook(self._changing(change))

    @contextmanager
    def applied(self, tokens: Indices) -> Iterator[None]:
        """The pass inside reads `tokens` of its row with the adapter, and the others without."""
        if len(tokens):
            self._tokens = torch.from_numpy(tokens).to(self._device)
        try:
            yield
        finally:
            self._tokens = None

    def _changing(self, change: _Change) -> Any:
        def hook(_module: nn.Module, given: tuple[torch.Tensor], out: torch.Tensor) -> None:
            if self._tokens is None:
                return
            rows = given[0].index_select(-2, self._tokens)
            out.index_add_(-2, self._tokens, rows @ change.down.T @ change.up.T)

        return hook


def template_adapter(model: PreTrainedModel, adapter: Path | None) -> TemplateAdapter | None:
    """The second adapter in the folder of an adapter; None without one.

    `model` has its final place and number format. Raises ModelUnusable.
    """
    if adapter is None or not (adapter / FOLDER / ADAPTER_CONFIG).is_file():
        return None
    folder = adapter / FOLDER
    require_json(folder / ADAPTER_CONFIG)
    require_safetensors(folder / "adapter_model.safetensors")
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / "adapter_model.safetensors")
        changes = _changes(model, weights, config["lora_alpha"] / config["r"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
        raise ModelUnusable(
            f"the adapter {folder} does not fit the model: {first_line(error)}"
        ) from error
    return TemplateAdapter(model, changes)


def _changes(
    model: PreTrainedModel, weights: dict[str, torch.Tensor], scale: float
) -> dict[str, _Change]:
    """The changes by the module's name in the model. Raises ValueError for what does not fit."""
    names = {
        f"{at}.{child}": module
        for at, layer in _named_layers(model)
        for child, module in layer.named_modules()
        if child.rpartition(".")[2] in TARGETS
    }
    changes = {}
    for key, down in weights.items():
        name, found, _ = key.removeprefix("base_model.model.").partition(".lora_A.")
        if not found:
            continue
        module: Any = names.get(name)
        up = weights[key.replace(".lora_A.", ".lora_B.")] * scale
        if module is None or (down.shape[1], up.shape[0]) != (
            module.in_features,
            module.out_features,
        ):
            raise ValueError(f"no place for {name}; it may change {' and '.join(TARGETS)}")
        changes[name] = _Change(
            down.to(model.device, model.dtype), up.to(model.device, model.dtype)
        )
    if 2 * len(changes) != len(weights):
        raise ValueError("it has other weights than pairs of lora_A and lora_B")
    return changes


def _named_layers(model: PreTrainedModel) -> Iterator[tuple[str, nn.Module]]:
    layers = {id(layer) for layer in layers_of(model)}
    return ((name, module) for name, module in model.named_modules() if id(module) in layers)
