"""Feedback in the prompt: all of it, or the cases nearest to the query. No weight changes.

An edit costs next to nothing here. Every later answer pays for it, because the model reads the
feedback again with each query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from evaluation.methods.method import EditCase, TargetLogprob
from evaluation.methods.plain import PlainModel, Prefix

NEAREST = 8
"""Cases in the prompt. IKE has 32 demonstrations, in models whose context is longer."""
ROOM = 0.25
"""The part of the context that is left for the query and its answer."""


class _Remembering:
    """What both have in common: the sentences of the feedback, and a text before each prompt."""

    def __init__(self, name: str, model: PlainModel) -> None:
        self._name = name
        self._model = model
        self._told: list[str] = []
        self._most = int(model.texts.context_tokens * (1 - ROOM))

    @property
    def name(self) -> str:
        return self._name

    def fit(self, cases: Sequence[EditCase]) -> None:
        """Learn nothing."""

    def edit(self, case: EditCase) -> None:
        """Remember the feedback as a sentence: the query with its answer."""
        self._told.append(f"{case.prompt} {case.target_new}.\n")

    def _before(self, prompt: str) -> Prefix | None:
        raise NotImplementedError

    def _read(self, newest_last: Iterable[str]) -> Prefix | None:
        """The last of these sentences that fit, read; None without any."""
        kept: list[str] = []
        tokens = 0
        for sentence in reversed(list(newest_last)):
            tokens += self._model.count(sentence)
            if tokens > self._most:
                break
            kept.append(sentence)
        return self._model.prefix("".join(reversed(kept))) if kept else None

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        return self._model.logprob(prompt, target, self._before(prompt))

    def generate(self, prompt: str) -> str:
        return self._model.generate(prompt, self._before(prompt))

    def close(self) -> None:
        """Hold nothing: the weights are shared."""


class InContext(_Remembering):
    """All feedback so far stands in the prompt. Where it no longer fits, the newest stays."""

    def __init__(self, name: str, model: PlainModel) -> None:
        super().__init__(name, model)
        self._prefix: Prefix | None = None

    def edit(self, case: EditCase) -> None:
        """Remember the feedback, which stands last in the prompt."""
        super().edit(case)
        self._prefix = None

    def _before(self, prompt: str) -> Prefix | None:
        if self._prefix is None:
            self._prefix = self._read(self._told)
        return self._prefix


class NearestCases(_Remembering):
    """The cases nearest to the query stand in the prompt, the nearest last.

    This is the idea of IKE (Zheng et al. 2023, "Can We Edit Factual Knowledge by In-Context
    Learning?") without its second model: IKE finds its demonstrations with a sentence encoder, and
    has some of each of three kinds from a training set. Here the model's own states say what is
    near (`PlainModel.state`), and the demonstrations are the feedback itself.
    """

    def __init__(self, name: str, model: PlainModel) -> None:
        super().__init__(name, model)
        self._states: list[torch.Tensor] = []
        self._last: tuple[str, Prefix | None] | None = None

    def edit(self, case: EditCase) -> None:
        """Remember the feedback and the state of its query."""
        super().edit(case)
        self._states.append(self._model.state(case.prompt))
        self._last = None

    def _before(self, prompt: str) -> Prefix | None:
        if not self._states:
            return None
        if self._last is None or self._last[0] != prompt:
            products = torch.stack(self._states) @ self._model.state(prompt)
            nearest = products.topk(min(NEAREST, len(self._told))).indices.tolist()
            self._last = prompt, self._read(self._told[n] for n in reversed(nearest))
        return self._last[1]
