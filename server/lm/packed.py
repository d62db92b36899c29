"""Linear layers whose weights lie in the order in which a processor reads them, in float32.

torch keeps a float32 matrix as rows, and its library reorders parts of it in every call. oneDNN,
which torch contains, can do that once.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel


def pack(model: PreTrainedModel) -> None:
    """Replace the linear layers of a float32 model on an x86 processor; leave others as they are.

    A head that shares its weights with the embeddings gets its own copy.
    """
    if not _pays(model):
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                setattr(module, name, PackedLinear(child))


class PackedLinear(nn.Module):
    """A linear layer with packed weights."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        with torch.inference_mode():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), 1)
        self.bias = linear.bias

    @property
    def weight(self) -> torch.Tensor:
        """The weights as rows: a copy, (out features, in features)."""
        rows: torch.Tensor = self._packed.to_dense()
        return rows

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.weight

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            given, self._packed, self.bias, "none", [], ""
        )
        return out


def _pays(model: PreTrainedModel) -> bool:
    return (
        model.device.type == "cpu"
        and model.dtype is torch.float32
        and platform.machine() in ("x86_64", "AMD64")
        and torch._C._has_mkldnn
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
