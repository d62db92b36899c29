"""Attention in blocks (server.lm.blocks), in the form that transformers' models call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from server.lm.blocks import Layout
from server.lm.packing import Indices

BLOCKS = "kgt_blocks"
"""The name under which transformers knows this attention."""

_KNOWN_ARGUMENTS = frozenset(
    {"position_ids", "use_cache", "cache_position", "is_causal", "output_attentions"}
)


class UnsupportedAttention(Exception):
    """The model's attention does more than softmax(q k / sqrt(d)) v.

    Examples are a softcap, a window, sinks and a position bias.
    """


def register() -> None:
    """Tell transformers about BLOCKS. Calling it again changes nothing."""
    AttentionInterface.register(BLOCKS, block_attention)
    AttentionMaskInterface.register(BLOCKS, sdpa_mask)


class KeptKeys:
    """Keys and values of tokens that later forward passes look at, by slot. Grows when needed.

    keys and values of a layer: (slots, key heads, head dimension).
    """

    def __init__(self) -> None:
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._free: list[int] = []
        self._capacity = 0

    def take(self, count: int) -> Indices:
        """Take `count` free slots."""
        if count > len(self._free):
            grown = max(self._capacity + self._capacity // 2, self._capacity + count, 256)
            self._free = [*range(grown - 1, self._capacity - 1, -1), *self._free]
            self._capacity = grown
        taken = [self._free.pop() for _ in range(count)]
        return np.array(taken, dtype=np.int64)

    def give_back(self, slots: Indices) -> None:
        """Free `slots`. With the last slot the memory is freed too."""
        self._free.extend(slots.tolist())
        if len(self._free) == self._capacity:
            self._layers, self._free, self._capacity = {}, [], 0

    def write(
        self, layer: int, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        """Keep `keys` and `values`, (tokens, key heads, head dimension) each, at `slots`."""
        kept = self._layers.get(layer)
        if kept is None or len(kept[0]) < self._capacity:
            old_keys, old_values = kept or (None, None)
            kept = (self._grown(old_keys, keys), self._grown(old_values, values))
            self._layers[layer] = kept
        kept[0].index_copy_(0, slots, keys)
        kept[1].index_copy_(0, slots, values)

    def read(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._layers[layer]

    def _grown(self, old: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        new = like.new_zeros((self._capacity, *like.shape[1:]))
        if old is not None:
            new[: len(old)] = old
        return new


_Rows: TypeAlias = slice | torch.Tensor
"""Which rows of a tensor: a run of them, or their numbers, (rows,)."""


@dataclass(frozen=True, slots=True)
class _Group:
    kept: bool
    queries: _Rows  # blocks * queries
    keys: _Rows  # blocks * keys
    mask: torch.Tensor | None  # (blocks, 1, queries, keys), 0 or the lowest number
    shape: tuple[int, int, int]  # blocks, queries, keys


class BlockPlan:
    """A Layout on the model's device, and the kept keys that it refers to."""

    def __init__(
        self, layout: Layout, kept: KeptKeys, device: torch.device, number_format: torch.dtype
    ) -> None:
        self.kept = kept
        self.places = _rows(layout.places, device)
        joining, joined = layout.joins
        self.keeps = len(joining) > 0
        self.joining = _rows(joining, device)
        self.joined = torch.from_numpy(joined).to(device)
        self.groups = [
            _Group(
                group.kept,
                _rows(group.queries.reshape(-1), device),
                _rows(group.keys.reshape(-1), device),
                # Without a mask, attention of a single token is faster
                None if group.mask.all() else additive(group.mask, device, number_format)[:, None],
                (*group.queries.shape, group.keys.shape[1]),
            )
            for group in layout.groups
        ]
        self._repeated: dict[int, Sequence[torch.Tensor | None]] = {}
        self._rotation: tuple[torch.Tensor, torch.Tensor] | None = None

    def masks(self, repeats: int) -> Sequence[torch.Tensor | None]:
        """Each group's mask, with every query `repeats` times.

        (blocks, 1, repeats * queries, keys); None where every query sees every key.
        """
        if repeats not in self._repeated:
            self._repeated[repeats] = [
                None if group.mask is None else group.mask.repeat(1, 1, repeats, 1)
                for group in self.groups
            ]
        return self._repeated[repeats]

    def rotation(self, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A pass's rotary embedding, (1, tokens, head dimension), ready for (tokens, heads, head
        dimension): the first half of the sines is negated.
        """
        if self._rotation is None:
            minus, plus = sin[0].chunk(2, -1)
            self._rotation = cos[0, :, None], torch.cat((-minus, plus), -1)[:, None]
        return self._rotation


def additive(
    mask: np.ndarray[Any, np.dtype[np.bool_]], device: torch.device, form: torch.dtype
) -> torch.Tensor:
    """The mask in the form that attention adds: 0 where seen, the lowest number elsewhere."""
    seen = torch.from_numpy(mask).to(device)
    added = torch.zeros(seen.shape, dtype=form, device=device)
    return added.masked_fill_(~seen, torch.finfo(form).min)


def block_attention(
    module: torch.nn.Module,
    query: torch.Tensor,  # (1, heads, tokens, head dimension)
    key: torch.Tensor,  # (1, key heads, tokens, head dimension)
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    block_plan: BlockPlan | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """The attention that a model's layers call. Without a plan it is transformers' own."""
    if block_plan is None:
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return result
    unknown = [
        name for name, given in others.items() if given is not None and name not in _KNOWN_ARGUMENTS
    ]
    if unknown:
        raise UnsupportedAttention(", ".join(unknown))
    layer: int = module.layer_idx  # type: ignore[assignment]
    queries, keys, values = (part[0].transpose(0, 1) for part in (query, key, value))
    return attend(block_plan, layer, queries, keys, values, scaling)[None], None


def attend(
    plan: BlockPlan,
    layer: int,
    queries: torch.Tensor,  # (tokens, heads, head dimension)
    keys: torch.Tensor,  # (tokens, key heads, head dimension)
    values: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """The attention of one layer: (tokens, heads, head dimension). Keeps what is to be kept."""
    if plan.keeps:
        plan.kept.write(
            layer, plan.joined, _chosen(keys, plan.joining), _chosen(values, plan.joining)
        )
    repeats = queries.shape[1] // keys.shape[1]
    results = []
    for group, mask in zip(plan.groups, plan.masks(repeats), strict=True):
        source = plan.kept.read(layer) if group.kept else (keys, values)
        results.append(_group_attention(group, mask, queries, source[0], source[1], scaling))
    whole = torch.cat(results) if len(results) > 1 else results[0]
    return _chosen(whole, plan.places)


def _group_attention(
    group: _Group,
    mask: torch.Tensor | None,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """A group's results in the order of its queries: (blocks * queries, heads, head dimension).

    Query heads that share a key head are laid next to each other as more queries, so that keys are
    never repeated.
    """
    blocks, wide, long = group.shape
    heads, key_heads = queries.shape[1], keys.shape[1]
    q = _chosen(queries, group.queries).view(blocks, wide, key_heads, heads // key_heads, -1)
    # The repeats are outside, the queries inside
    q = q.permute(0, 2, 3, 1, 4).reshape(blocks, key_heads, -1, q.shape[-1])
    k = _chosen(keys, group.keys).view(blocks, long, key_heads, -1).transpose(1, 2)
    v = _chosen(values, group.keys).view(blocks, long, key_heads, -1).transpose(1, 2)
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling)
    out = out.view(blocks, key_heads, heads // key_heads, wide, -1).permute(0, 3, 1, 2, 4)
    return out.reshape(blocks * wide, heads, -1)


def _rows(numbers: Indices, device: torch.device) -> _Rows:
    if len(numbers) and np.array_equal(numbers, np.arange(numbers[0], numbers[0] + len(numbers))):
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return torch.from_numpy(numbers).to(device)


def _chosen(source: torch.Tensor, rows: _Rows) -> torch.Tensor:
    """The rows, not copied where they are a run."""
    if not isinstance(rows, slice):
        return source.index_select(0, rows)
    return source if rows.stop - rows.start == len(source) else source[rows]
