"""Counts a model's forward passes, and holds them up."""

from __future__ import annotations

import asyncio
import threading

import torch

from server.lm.loading import LoadedModel
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch, Scores


class Passes:
    """Counts a model's forward passes, and holds the first of them until `release` is set."""

    def __init__(self, loaded: LoadedModel, *, block_first: bool = False) -> None:
        self.lengths: list[int] = []
        """How many tokens each pass read."""
        self.started, self.release = threading.Event(), threading.Event()
        if not block_first:
            self.release.set()
        self._handle = loaded.model.register_forward_pre_hook(self._before, with_kwargs=True)

    def __enter__(self) -> Passes:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._handle.remove()

    async def holding(self, model: TransformersModel) -> asyncio.Future[Scores]:
        """A question that occupies the model until `release` is set."""
        first = asyncio.ensure_future(model.score([Branch("a", (" b",))]))
        await asyncio.to_thread(self.started.wait, 30)
        return first

    def _before(
        self, module: torch.nn.Module, args: object, kwargs: dict[str, torch.Tensor]
    ) -> None:
        self.lengths.append(kwargs["input_ids"].numel())
        self.started.set()
        self.release.wait(30)


async def prepared(model: TransformersModel, requests: int) -> None:
    """Return once `requests` of them have their tokens and wait for the model."""
    worker = model._worker

    def wait() -> None:
        with worker._changed:
            assert worker._changed.wait_for(
                lambda: sum(work.ready for work in worker._schedule.waiting) >= requests, 30
            )

    await asyncio.sleep(0)  # those that were made just now enter the queue
    await asyncio.to_thread(wait)
