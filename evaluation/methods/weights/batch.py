"""Token sequences side by side, with the tokens that a model is to predict in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from server.lm.packing import TokenSequence

NOT_ASKED = -100
"""The label of a position whose next token is not asked for, as in torch's cross_entropy."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences padded at their ends: ids, mask and labels are (sequences, tokens).

    labels has the token that follows, where it is asked for. Only the last `kept` positions of the
    batch have any.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor
    kept: int

    @property
    def targets(self) -> torch.Tensor:
        """The labels of the last `kept` positions: (sequences, kept)."""
        return self.labels[:, -self.kept :]

    def losses(self, logits: torch.Tensor) -> torch.Tensor:
        """The mean negative log-likelihood of a token of each sequence's target: (sequences,).

        logits are those of the last `kept` positions: (sequences, kept, vocabulary).
        """
        labels = self.targets
        losses = F.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=NOT_ASKED, reduction="none"
        ).view(labels.shape)  # (sequences, kept)
        return losses.sum(1) / (labels != NOT_ASKED).sum(1)


def batch_of(sequences: Sequence[TokenSequence], device: torch.device) -> Batch:
    """The sequences as tensors. Of each, the tokens from `scored_from` on are predicted."""
    length = max(len(sequence.read) for sequence in sequences)
    ids = torch.zeros(len(sequences), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, NOT_ASKED)
    for row, sequence in enumerate(sequences):
        end, start = len(sequence.read), sequence.scored_from
        ids[row, :end] = torch.tensor(sequence.read)
        mask[row, :end] = 1
        labels[row, start - 1 : end] = torch.tensor(sequence.tokens[start:])
    kept = length + 1 - min(sequence.scored_from for sequence in sequences)
    return Batch(ids.to(device), mask.to(device), labels.to(device), kept)
