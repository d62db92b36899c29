"""MEND: a gradient of rank one for each token, made into a better one by small networks."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from evaluation.methods.method import EditCase
from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.learned import LearnedEditor, Training
from server.lm.loading import ModelChoice

_RANK = 1920 / 8000
"""The published rank, as a share of the width of the factors in GPT-2 XL: 1600 and 6400."""

Factors = tuple[torch.Tensor, torch.Tensor]
"""A matrix's inputs, and the gradients of its outputs: (tokens, keys) and (tokens, values)."""


class MEND(LearnedEditor):
    """Model Editor Networks with Gradient Decomposition: W' = W - α Σ δ~ x~ᵀ over the tokens.

    Paper: Mitchell et al. 2022, "Fast Model Editing at Scale", equations 2 to 4 and algorithm 2;
    code: eric-mitchell/mend, algs/mend.py. A linear layer's gradient is the sum of δ xᵀ over the
    tokens. Both factors are normalized and go through two residual layers of low rank, which begin
    as the identity; matrices of the same shape share them, with a scale and a shift for each. α
    is learned for each matrix. Published: the MLPs of the last three layers, rate 1e-6, α from
    1e-4 with a rate of 1e-4, rank 1920, ten edits a step, weights 0.1 and 1 of the two losses.

    Ours differs in the rank, which keeps its share of the width (0.24: 507 for the shipped model),
    and in the training. It has 300 edits and not up to 1,000,000, so the networks' rate is 1e-4:
    with 1e-6 they would remain the identity. As in the paper's equation the change is taken off
    (their code adds it and learns a negative α). Llama's gate is edited too, as EasyEdit does.
    """

    name = "MEND"

    def __init__(
        self, choice: ModelChoice, plan: Plan | None = None, how: Training | None = None
    ) -> None:
        super().__init__(choice, how or Training(rate=1e-4), plan)

    def built(self) -> nn.Module:
        return _Networks([tuple(matrix.map.shape) for matrix in self.matrices()])

    def groups(self) -> list[dict[str, object]]:
        networks = self._networks
        others = [p for p in networks.parameters() if p is not networks.rates]
        return [{"params": others}, {"params": [networks.rates], "lr": 1e-4}]

    def changes(self, case: EditCase) -> list[torch.Tensor]:
        found = []
        factors = self.factors(case)
        for number, (matrix, one) in enumerate(zip(self.matrices(), factors, strict=True)):
            keys, values = self._networks(number, one)
            change = -self._networks.rates[number] * (values.T @ keys)  # (values, keys)
            found.append(matrix.oriented(change))
        return found

    def factors(self, case: EditCase) -> list[Factors]:
        """The factors of each matrix's gradient, at the tokens that have one."""
        batch = self.model.batch((case.prompt, case.target_new))
        matrices = self.matrices()
        inputs: dict[nn.Module, torch.Tensor] = {}
        outputs: dict[nn.Module, torch.Tensor] = {}

        def keep(module: nn.Module, given: Any, out: torch.Tensor) -> None:
            inputs[module], outputs[module] = given[0].detach(), out

        with torch.enable_grad(), self.model.differentiated(matrices), ExitStack() as stack:
            for matrix in matrices:
                stack.callback(matrix.module.register_forward_hook(keep).remove)
            loss = batch.losses(self.model.logits(batch)).mean()
            of_outputs = torch.autograd.grad(loss, [outputs[m.module] for m in matrices])
        found = []
        for matrix, gradient in zip(matrices, of_outputs, strict=True):
            keys, values = inputs[matrix.module].flatten(0, 1), gradient.flatten(0, 1)
            has_one = (keys != 0).any(-1) & (values != 0).any(-1)
            found.append((keys[has_one], values[has_one]))
        return found

    @property
    def _networks(self) -> _Networks:
        assert isinstance(self.networks, _Networks)
        return self.networks


class _Networks(nn.Module):
    """One transform for each shape of matrices, and a rate for each matrix."""

    def __init__(self, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self._kinds = sorted(set(shapes))
        self._kind_of = [self._kinds.index(shape) for shape in shapes]
        self._mode_of = [shapes[:at].count(shape) for at, shape in enumerate(shapes)]
        self.transforms = nn.ModuleList(
            _Transform(keys, values, shapes.count((values, keys))) for values, keys in self._kinds
        )
        self.rates = nn.Parameter(torch.full((len(shapes),), 1e-4))

    def forward(self, number: int, factors: Factors) -> Factors:
        """The factors of matrix `number`, transformed."""
        transform = self.transforms[self._kind_of[number]]
        found: Factors = transform(*factors, self._mode_of[number])
        return found


class _Transform(nn.Module):
    """Normalizes both factors of a gradient, and puts them through two residual layers."""

    def __init__(self, keys: int, values: int, modes: int) -> None:
        super().__init__()
        width = keys + values
        self._split = [keys, values]
        rank = max(1, round(_RANK * width))
        self.layers = nn.ModuleList(_LowRank(width, rank, modes) for _ in range(2))
        self.count: torch.Tensor
        self.mean: torch.Tensor
        self.squares: torch.Tensor
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("squares", torch.zeros(width))  # of the distances from the mean

    def forward(self, keys: torch.Tensor, values: torch.Tensor, mode: int) -> Factors:
        joined = torch.cat([keys, values], 1)  # (tokens, keys + values)
        if self.training:
            self._count(joined)
        deviation = (self.squares / (self.count - 1).clamp(min=1)).sqrt()
        state = (joined - self.mean) / (deviation + 1e-7)
        for layer in self.layers:
            state = layer(state, mode)
        keys, values = torch.split(state, self._split, 1)
        return keys, values

    @torch.no_grad()
    def _count(self, joined: torch.Tensor) -> None:
        """Take the rows into the mean and the deviation of all rows so far."""
        rows = len(joined)
        if not rows:
            return
        mean = joined.mean(0)
        total = self.count + rows
        apart = mean - self.mean
        self.squares += (joined - mean).square().sum(0) + apart**2 * self.count * rows / total
        self.mean += apart * rows / total
        self.count.copy_(total)


class _LowRank(nn.Module):
    """x + relu(s (U V x + b) + o), with its own s and o for each matrix: at first, x itself."""

    def __init__(self, width: int, rank: int, modes: int) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.down = nn.Parameter(torch.randn(rank, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.ones(modes, width))
        self.shift = nn.Parameter(torch.zeros(modes, width))

    def forward(self, state: torch.Tensor, mode: int) -> torch.Tensor:
        mixed = state @ self.down.T @ self.up.T + self.bias
        mixed = mixed * self.scale[mode] + self.shift[mode]
        # All is 0 at first, where the gradient of relu and clamp is 0: nothing would be learned
        return state + torch.where(mixed >= 0, mixed, 0)
