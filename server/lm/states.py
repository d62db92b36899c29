"""Reads the state that a layer leaves at chosen tokens, while a forward pass goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        self._wanted: tuple[torch.Tensor, States] | None = None
        layers_of(model)[layer - 1].register_forward_hook(self._keep)

    @contextmanager
    def reading(self, tokens: Indices) -> Iterator[States]:
        """The states of `tokens` of a row, there once the pass inside is done."""
        states = States(self._device)
        if len(tokens):
            # Copied before the pass: in its middle, a copy would wait for all that is under way
            self._wanted = torch.from_numpy(tokens).to(self._device), states
        try:
            yield states
        finally:
            self._wanted = None

    def _keep(self, _module: nn.Module, _given: Any, out: Any) -> None:
        if self._wanted is None:
            return
        tokens, states = self._wanted
        hidden = hidden_of(out)  # (1, length, width)
        states.found = hidden[0, tokens.to(hidden.device)].float()


def hidden_of(out: Any) -> torch.Tensor:
    """The states in what a layer, or a whole model without its head, returns."""
    hidden: torch.Tensor = out if isinstance(out, torch.Tensor) else out[0]
    return hidden


def layers_of(model: PreTrainedModel) -> Sequence[nn.Module]:
    """The model's layers, in order.

    Where they are in no list, all of them together count as one: the model without its head, which
    returns the state of the last. Raises ModelUnusable where that cannot be told from the model.
    """
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return list(module)
    if model.base_model is not model:
        return [model.base_model]
    raise ModelUnusable(
        f"a model of type {model.config.model_type} cannot be used: keys are read from a layer's"
        " states, and neither its layers nor the part below its head can be found"
    )
