"""The layers of Llama-shaped models, computed with fewer and larger operations.

One token's step through a small model is hundreds of small operations, and calling them takes
longer than reading the weights. What a layer computes stays the same, in the same number format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from server.lm.attention import BlockPlan, attend
from server.lm.states import layers_of

_SHAPED_ALIKE = frozenset({"LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer"})
"""transformers' layers that FusedLayer computes."""


def can_be_fused(model: PreTrainedModel) -> bool:
    """Whether all layers are of a kind that FusedLayer computes."""
    return all(_is_known(layer) for layer in layers_of(model))


def fuse(model: PreTrainedModel) -> None:
    """Fuse the layers, whose weights are in their final place and number format.

    The modules, their weights and their hooks stay, and a pass without a plan runs transformers'
    own code. Calling it again changes nothing.
    """
    for layer in layers_of(model):
        if not isinstance(layer.forward, FusedLayer):
            layer.forward = FusedLayer(layer)


def unfuse(model: PreTrainedModel) -> None:
    """Let transformers' own code run again."""
    for layer in layers_of(model):
        if isinstance(layer.forward, FusedLayer):
            layer.forward = layer.forward.plain


class FusedLayer:
    """What a layer's `forward` computes in a pass with a plan.

    q, k and v come from one matrix, and so do gate and up. Each norm is one operation. Nothing is
    computed per layer that is the same for all of them.
    """

    def __init__(self, layer: Any) -> None:
        self.plain = layer.forward
        attention, mlp = layer.self_attn, layer.mlp
        self._number: int = attention.layer_idx
        self._scaling: float = attention.scaling
        self._head_size: int = attention.head_dim
        self._before = _Norm(layer.input_layernorm)
        self._between = _Norm(layer.post_attention_layernorm)
        self._queries_keys_values = _together(
            (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        self._out = attention.o_proj
        self._gate_up = _together((mlp.gate_proj, mlp.up_proj))
        self._activation = mlp.act_fn
        self._down = mlp.down_proj

    def __call__(
        self, hidden: torch.Tensor, *others: Any, block_plan: BlockPlan | None = None, **named: Any
    ) -> torch.Tensor:
        """The layer's output: (1, tokens, width), as `hidden` is."""
        if block_plan is None:
            plain: torch.Tensor = self.plain(hidden, *others, **named)
            return plain
        cos, sin = block_plan.rotation(*named["position_embeddings"])
        # Each (tokens, heads, head dimension)
        queries, keys, values = (
            part.view(len(part), -1, self._head_size)
            for part in self._queries_keys_values(self._before(hidden[0]))
        )
        mixed = attend(
            block_plan,
            self._number,
            _rotated(queries, cos, sin),
            _rotated(keys, cos, sin),
            values,
            self._scaling,
        )
        hidden = hidden + self._out(mixed.flatten(-2))
        gate, up = self._gate_up(self._between(hidden))
        whole: torch.Tensor = hidden + self._down(self._activation(gate).mul_(up))
        return whole


class _Norm:
    """A root-mean-square norm in two operations, rounded where transformers rounds."""

    def __init__(self, module: Any) -> None:
        self._weight: torch.Tensor = module.weight
        self._least: float = module.variance_epsilon

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(hidden, self._weight.shape, eps=self._least).mul_(self._weight)


def _together(parts: Sequence[nn.Module]) -> Callable[[torch.Tensor], Sequence[torch.Tensor]]:
    """What gives the outputs of linear layers of the same input."""
    plain = [part for part in parts if type(part) is nn.Linear]
    return _Joined(plain) if len(plain) == len(parts) else lambda x: [part(x) for part in parts]


class _Joined:
    """Linear layers of the same input, as one matrix. Their weights become views of it."""

    def __init__(self, parts: Sequence[nn.Linear]) -> None:
        self._sizes = [part.out_features for part in parts]
        self._weight = _joined([part.weight for part in parts])
        biases = [part.bias for part in parts if part.bias is not None]
        self._bias = _joined(biases) if biases else None

    def __call__(self, given: torch.Tensor) -> Sequence[torch.Tensor]:
        return functional.linear(given, self._weight, self._bias).split_with_sizes(self._sizes, -1)


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    joined = torch.cat([part.detach() for part in parts])
    for part, view in zip(
        parts, joined.split_with_sizes([len(part) for part in parts]), strict=True
    ):
        part.data = view
    return joined


def _rotated(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """`heads` with their positions: transformers' rotary embedding, to the bit.

    heads: (tokens, heads, head dimension); cos, sin: as BlockPlan.rotation gives them.
    """
    return (heads * cos).add_(heads.roll(heads.shape[-1] // 2, -1).mul_(sin))


def _is_known(layer: nn.Module) -> bool:
    kind = type(layer)
    return kind.__module__.startswith("transformers.models.") and kind.__name__ in _SHAPED_ALIKE
