"""KE: a network that reads a fact and the gradients, and predicts a change of the weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from evaluation.methods.method import EditCase
from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.learned import LearnedEditor, Training
from server.lm.loading import ModelChoice

_LSTM, _CONDITION, _HIDDEN = 256, 1024, 128
"""The widths of the paper's code."""
_STEP = 0.003
"""How long the gradient is that the networks get, as a share of its matrix."""


class KE(LearnedEditor):
    """KnowledgeEditor: W' = W + σ(η) (A ∘ ∇W + B), with A, B and η predicted from the fact.

    Paper: De Cao, Aziz and Titov 2021, "Editing Factual Knowledge in Language Models", section 4.2
    and equation 5; code: nicola-decao/KnowledgeEditor, src/models/one_shot_learner.py, and for
    decoders eric-mitchell/mend, algs/efk.py. A bidirectional LSTM reads "old >> new || prompt". For
    each matrix a layer predicts two rank-one matrices, A and B, each a softmax over the rows times
    a vector over the columns. Published for decoders: the MLPs of the last three layers, rate 1e-5,
    with MEND's losses (and a rate of edits of 1e-2, which their KE does not use).

    Ours differs in what few edits of training need. They are 300, where theirs are up to
    1,000,000, and the rate is 3e-4, as in the paper's own code. The gradient is scaled to 0.003 of
    its matrix's norm, the softmax is taken times the number of rows, and A begins near -1: at
    first, an edit is a step against the gradient. The embeddings that the LSTM reads are the
    model's and are not trained. The paper's bound on the divergence, by a Lagrange multiplier, is
    the weighted sum of losses here, as in MEND's comparison.
    """

    name = "KE"

    def __init__(
        self, choice: ModelChoice, plan: Plan | None = None, how: Training | None = None
    ) -> None:
        super().__init__(choice, how or Training(rate=3e-4), plan)

    def built(self) -> nn.Module:
        embeddings = self.model.model.get_input_embeddings().weight
        shapes = [tuple(matrix.weight.shape) for matrix in self.matrices()]
        return _Networks(embeddings.shape[1], shapes)

    def changes(self, case: EditCase) -> list[torch.Tensor]:
        matrices = self.matrices()
        batch = self.model.batch((case.prompt, case.target_new))
        with torch.enable_grad(), self.model.differentiated(matrices):
            logits = self.model.logits(batch)
            loss = batch.losses(logits).mean()
            gradients = torch.autograd.grad(loss, [matrix.weight for matrix in matrices])
        old = self.model.tokenizer.decode(logits[0, 0].argmax())
        fact = f"{old} >> {case.target_new} || {case.prompt}"
        scaled = [
            gradient * (_STEP * matrix.weight.detach().norm() / gradient.norm().clamp(min=1e-12))
            for matrix, gradient in zip(matrices, gradients, strict=True)
        ]
        found: list[torch.Tensor] = self.networks(self._embedded(fact), scaled)
        return found

    def _embedded(self, text: str) -> torch.Tensor:
        """The embeddings of a text's tokens: (tokens, width)."""
        ids = self.model.tokenizer(text, return_tensors="pt").input_ids.to(self.model.device)
        embedded: torch.Tensor = self.model.model.get_input_embeddings()(ids)[0]
        return embedded


class _Networks(nn.Module):
    """The LSTM that reads a fact, and a conditioner for each matrix."""

    def __init__(self, width: int, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, _LSTM, bidirectional=True, batch_first=True)
        self.condition = nn.Linear(2 * _LSTM, _CONDITION)
        self.conditioners = nn.ModuleList(_Conditioner(rows, columns) for rows, columns in shapes)

    def forward(self, fact: torch.Tensor, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        """fact is (tokens, width); what is returned has the gradients' shapes."""
        _, (last, _) = self.lstm(fact[None])  # (directions, 1, width)
        condition = self.condition(last.flatten()).tanh()
        return [
            conditioner(condition, gradient)
            for conditioner, gradient in zip(self.conditioners, gradients, strict=True)
        ]


class _Conditioner(nn.Module):
    """Predicts from a fact how much of a gradient is taken, and what is added to it."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self._sizes = [rows, columns, rows, columns, 1]
        last = nn.Linear(_HIDDEN, sum(self._sizes))
        with torch.no_grad():
            last.bias.zero_()
            last.bias[rows : rows + columns] = -1  # A begins near -1
        self.layers = nn.Sequential(
            weight_norm(nn.Linear(_CONDITION, _HIDDEN)), nn.Tanh(), weight_norm(last)
        )

    def forward(self, condition: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        a_rows, a_columns, b_rows, b_columns, share = self.layers(condition).split(self._sizes)
        a = len(a_rows) * torch.outer(a_rows.softmax(0), a_columns)
        b = torch.outer(b_rows.softmax(0), b_columns)
        change: torch.Tensor = share.sigmoid() * (a * gradient + b)
        return change
