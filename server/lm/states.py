"""Reads the state that a layer leaves at chosen tokens, while a forward pass goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from server.errors import ModelUnusable
from server.lm.packing import Indices


class States:
    """The states of a pass: (tokens, width), none until the layer has run."""

    def __init__(self, device: torch.device) -> None:
        self.found = torch.zeros((0, 0), device=device)


class StateTap:
    """Listens to one layer of a model. It costs nothing in passes whose states nobody wants."""

    def __init__(self, model: PreTrainedModel, layer: int) -> None:
        self._device = model.device
        self._wanted: tuple[Indices, States] | None = None
        layers_of(model)[layer - 1].register_forward_hook(self._keep)

    @contextmanager
    def reading(self, tokens: Indices) -> Iterator[States]:
        """The states of `tokens` of a row, there once the pass inside is done."""
        states = States(self._device)
        self._wanted = (tokens, states) if len(tokens) else None
        try:
            yield states
        finally:
            self._wanted = None

    def _keep(self, _module: nn.Module, _given: Any, out: Any) -> None:
        if self._wanted is None:
            return
        tokens, states = self._wanted
        hidden = out[0] if isinstance(out, tuple) else out  # (1, length, width)
        states.found = hidden[0, torch.from_numpy(tokens).to(hidden.device)].float()


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The model's layers, in order. Raises ModelUnusable."""
    count = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ModelUnusable(
        f"a model of type {model.config.model_type} cannot be used: keys are read from its"
        f" {count} layers, and it has no list of them"
    )
