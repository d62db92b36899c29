"""The value that makes a model say the new answer, found by gradient descent (ROME, eq. 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from evaluation.methods.method import EditCase
from evaluation.methods.weights.model import EditableModel
from evaluation.methods.weights.prefilled import Prefilled, added, watched


@dataclass(frozen=True, slots=True)
class Descent:
    """How the value is found; the defaults are those published for GPT-2 medium."""

    steps: int = 20
    rate: float = 0.5
    decay: float = 0.5
    """The weight of the change's length, against that of the value's square."""
    clamp: float = 3.0
    """The change is at most so many times as long as the value was."""
    kl: float = 0.0625
    """The weight of the change of what the model says after "SUBJECT is a"."""
    enough: float = 5e-2
    """No more steps once the loss is below this."""


def contextualized(
    model: EditableModel, case: EditCase, prefixes: Sequence[str], target: str
) -> Prefilled:
    """The case's prompt after each of the prefixes, read up to the subject's last token."""
    return Prefilled(
        model,
        [model.sequence(prefix + case.prompt, target) for prefix in prefixes],
        [model.subject_end(prefix, case.prompt, case.subject) for prefix in prefixes],
    )


def value_change(
    model: EditableModel, module: nn.Module, case: EditCase, prefixes: Sequence[str], how: Descent
) -> torch.Tensor:
    """What is to be added to what `module` puts out at the subject's last token: (width,).

    The target's likelihood is the mean over the prefixes, the first of which is empty. As in
    ROME's code, what the model says of the subject is compared right after the subject, and Adam
    takes one step less than `steps`.
    """
    asked = contextualized(model, case, prefixes, case.target_new)
    known = model.sequence(case.subject, "is a")
    drift = Prefilled(model, [known], [known.scored_from - 1])
    with torch.no_grad(), watched(module) as seen:
        asked.logits()
        value = seen.out[0]
        before = drift.logits()[:, 0].log_softmax(-1)
    delta = torch.zeros_like(value, requires_grad=True)
    optimizer = torch.optim.Adam([delta], lr=how.rate)
    longest = how.clamp * value.norm()
    for step in range(how.steps):
        with added(module, delta):
            fit = asked.batch.losses(asked.logits()).mean()
            after = drift.logits()[:, 0].log_softmax(-1)
        changed = F.kl_div(after, before, log_target=True, reduction="batchmean")
        loss = fit + how.kl * changed + how.decay * delta.norm() / value.norm() ** 2
        if loss < how.enough or step == how.steps - 1:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            delta.mul_((longest / delta.norm()).clamp(max=1))
    return delta.detach()
