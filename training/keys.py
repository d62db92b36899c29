"""The loss that teaches scope keys, and the states that it is computed from.

A key is the state of the last token of the retrieval template's root, at one layer, centred and of
length 1. The loss is the supervised contrastive one (Khosla et al. 2020, L_out): a key should be
nearer to the keys of the same meaning than to all others of the batch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerBase

from server.tuning.templates import root_prompt
from training.alike import Meaning

TEMPERATURE = 0.06
FLOOR = 0.6
SURE = 0.8
"""The thresholds (server.lm.keys.KeyRule) of an adapter for which none were measured yet, as the
first trials had them."""


class KeyReader:
    """Reads the states of texts at `layer`. Layers above it are not run."""

    def __init__(self, causal: Any, tokenizer: PreTrainedTokenizerBase, layer: int) -> None:
        self._decoder = causal.model
        self._tokenizer = tokenizer
        self._layer = layer
        self.centre = torch.zeros(causal.config.hidden_size)
        """What is taken off every state: (width,)."""

    def find_centre(self, texts: Sequence[str]) -> None:
        """Take the mean state of `texts` as the centre."""
        with torch.no_grad():
            parts = [self._states(texts[at : at + 32]) for at in range(0, len(texts), 32)]
        self.centre = torch.cat(parts).mean(0)

    def keys(self, texts: Sequence[str]) -> torch.Tensor:
        """The keys of `texts`, in float32. (texts, width)"""
        return F.normalize(self._states(texts) - self.centre, dim=-1)

    def save(self, path: Path) -> None:
        """Write the rule by which the service reads the same keys (server.lm.keys).

        The thresholds are measured on pairs of queries once the adapter is trained
        (`python -m evaluation scopes`), and are written anew then.
        """
        centre = [round(value, 5) for value in self.centre.tolist()]
        rule = {"layer": self._layer, "floor": FLOOR, "sure": SURE, "centre": centre}
        path.write_text(json.dumps(rule) + "\n")

    def _states(self, texts: Sequence[str]) -> torch.Tensor:
        rows = [self._tokenizer(root_prompt(text)).input_ids[:192] for text in texts]
        width = max(map(len, rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for n, row in enumerate(rows):
            ids[n, : len(row)] = torch.tensor(row)
            mask[n, : len(row)] = 1
        ends = torch.tensor([len(row) - 1 for row in rows])
        hidden: torch.Tensor = self._hidden(ids, mask)  # (texts, tokens, width)
        return hidden[torch.arange(len(rows)), ends].float()

    def _hidden(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The output of layer `layer`, before any norm."""
        whole = self._decoder.layers
        caught: list[torch.Tensor] = []
        self._decoder.layers = nn.ModuleList(whole[: self._layer])
        hook = whole[self._layer - 1].register_forward_hook(
            lambda _module, _given, out: caught.append(out[0] if isinstance(out, tuple) else out)
        )
        try:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                self._decoder(input_ids=ids, attention_mask=mask, use_cache=False)
        finally:
            hook.remove()
            self._decoder.layers = whole
        (states,) = caught
        return states


def contrastive_loss(reader: KeyReader, batch: Sequence[Meaning]) -> torch.Tensor:
    """The mean over all texts that have another of their meaning in the batch."""
    texts = [text for meaning in batch for text in meaning.texts]
    labels = torch.tensor([n for n, meaning in enumerate(batch) for _ in meaning.texts])
    keys = reader.keys(texts)
    logits = keys @ keys.T / TEMPERATURE
    itself = torch.eye(len(texts), dtype=torch.bool)
    same = (labels[:, None] == labels[None, :]) & ~itself
    log_probs = logits.masked_fill(itself, -torch.inf).log_softmax(-1)
    each = -torch.where(same, log_probs, 0.0).sum(-1) / same.sum(-1).clamp(min=1)
    return each[same.any(-1)].mean()
