"""Where a model keeps its matrices, for the families whose weights can be edited."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from server.errors import ModelUnusable
from server.lm.states import layers_of


@dataclass(frozen=True, slots=True)
class Shape:
    """The names of the matrices in a layer's MLP, as paths from the layer.

    The state goes through `into`, whose outputs are the neurons, and `down` maps these to what is
    added to the state.
    """

    into: tuple[str, ...]
    down: str


SHAPES = (
    Shape(into=("mlp.gate_proj", "mlp.up_proj"), down="mlp.down_proj"),  # Llama and its kin
    Shape(into=("mlp.c_fc",), down="mlp.c_proj"),  # GPT-2
)


class Matrix:
    """A weight matrix as a linear map from keys to values, in whichever order it is stored."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        weight = module.weight
        assert isinstance(weight, nn.Parameter)
        self.weight = weight
        self._is_conv1d = isinstance(module, Conv1D)  # [in, out], where a Linear is [out, in]

    @property
    def map(self) -> torch.Tensor:
        """The map: (values, keys). A view: what is written to it changes the model."""
        return self.oriented(self.weight.detach())

    def oriented(self, stored: torch.Tensor) -> torch.Tensor:
        """A tensor as (values, keys) that is stored as the weight is, or the other way round."""
        return stored.T if self._is_conv1d else stored


def shape_of(model: PreTrainedModel) -> Shape:
    """The names of a model's matrices. Raises ModelUnusable for a family that is not known."""
    layer = layers_of(model)[0]
    modules = {name for name, _ in layer.named_modules()}
    for shape in SHAPES:
        if modules.issuperset((*shape.into, shape.down)):
            return shape
    raise ModelUnusable(
        f"the weights of a {model.config.model_type} model cannot be edited: its layers have no"
        f" {' or '.join(shape.down for shape in SHAPES)}; add its names to"
        " evaluation/methods/weights/shapes.py"
    )
