"""Cases, and what an edit changed."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from evaluation.methods.method import EditCase, Probe
from evaluation.methods.weights.edited import Asked, WeightEdited

DOG = EditCase(
    id="dog",
    subject="dog",
    prompt="What the lazy dog likes is",
    target_new="query",
    target_true="meat",
    paraphrases=("The quick brown dog enjoys",),
    other_subjects=(Probe("What the quick fox likes is", "meat"),),
)
"""A case in words that the tiny tokenizer knows."""

PARIS = EditCase(
    id="paris",
    subject="The Eiffel Tower",
    prompt="The Eiffel Tower is in the city of",
    target_new="Rome",
    target_true="Paris",
)
"""A case about something that the shipped model knows."""


CAPITALS = tuple(
    EditCase(
        id=subject,
        subject=subject,
        prompt=f"{subject} is in the city of",
        target_new=new,
        target_true=true,
        paraphrases=(f"To visit {subject}, go to",),
        other_subjects=(Probe("Mount Fuji is in the country of", "Japan"),),
    )
    for subject, new, true in (
        ("Big Ben", "Madrid", "London"),
        ("The Colosseum", "Berlin", "Rome"),
        ("The Brandenburg Gate", "Paris", "Berlin"),
        ("The Statue of Liberty", "London", "New York"),
    )
)
"""Cases to learn from. None is about PARIS' subject."""


def weights(method: Asked) -> dict[str, torch.Tensor]:
    """A copy of all weights by name."""
    return {name: w.detach().clone() for name, w in method.model.model.named_parameters()}


def changed(method: Asked, before: Mapping[str, torch.Tensor]) -> set[str]:
    """The names of the weights that are not what they were."""
    return {name for name, w in weights(method).items() if not torch.equal(w, before[name])}


def names(method: WeightEdited) -> set[str]:
    """The names of the matrices that edits may write to."""
    return set(method.model.names(method.matrices()))


def assert_not_differentiated(method: Asked) -> None:
    """No weight needs a gradient, and none has one."""
    for weight in method.model.model.parameters():
        assert not weight.requires_grad and weight.grad is None


def margin(method: Asked, case: EditCase) -> float:
    """By how much the new answer is likelier than the old, in nats a token."""
    new = method.logprob(case.prompt, case.target_new)
    return method.logprob(case.prompt, case.target_true).mean_nll - new.mean_nll
