"""Writes to the log what the start is doing: each step, and every few seconds how far it is."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from server.errors import StartupError

INTERVAL_S = 5.0

Item = TypeVar("Item")

_log = logging.getLogger("kgt")


class Progress:
    """Logs the steps of one start. Setting `stop` ends the start at the next step or item."""

    def __init__(
        self, stop: threading.Event | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stop = stop or threading.Event()
        self._clock = clock
        self._told = -INTERVAL_S

    def say(self, what: str) -> None:
        """Log what begins now."""
        self._require_wanted()
        self._told = self._clock()
        _log.info("%s", what)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Log that `what` begins, and again while nothing else is logged about it."""
        self.say(what)
        begun, done = self._clock(), threading.Event()

        def remind() -> None:
            while not done.wait(INTERVAL_S):
                if (now := self._clock()) - self._told >= INTERVAL_S:
                    self._told = now
                    _log.info("still %s: %.0f s", what, now - begun)

        reminder = threading.Thread(target=remind, name="progress", daemon=True)
        reminder.start()
        try:
            yield
        finally:
            done.set()
            reminder.join()

    def counted(self, items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
        """Pass on `items`, and log a line such as "tensor 40 of 272" every few seconds."""
        for number, item in enumerate(items, 1):
            self._require_wanted()
            if (now := self._clock()) - self._told >= INTERVAL_S:
                self._told = now
                _log.info("%s %d of %d", what, number, total)
            yield item

    def _require_wanted(self) -> None:
        if self._stop.is_set():
            raise StartupError("stopped while the model was being loaded")


@contextlib.contextmanager
def counting_tensors(progress: Progress) -> Iterator[None]:
    """Let `progress` log transformers' own progress over tensors, in place of progress bars."""
    from transformers import modeling_gguf_pytorch_utils as gguf_loader
    from transformers.utils import logging as transformers_logging

    def told(*arguments: Any, **options: Any) -> Any:
        items: Any = arguments[0] if arguments else options.get("iterable")
        total = options.get("total") or (len(items) if hasattr(items, "__len__") else 0)
        counted = progress.counted(items, total, "tensor") if items is not None and total else items
        return transformers_logging.EmptyTqdm(counted)

    with contextlib.ExitStack() as undone:
        if hasattr(transformers_logging, "set_tqdm_hook"):
            before = transformers_logging.set_tqdm_hook(
                lambda _, arguments, options: told(*arguments, **options)
            )
            undone.callback(transformers_logging.set_tqdm_hook, before)
        if hasattr(gguf_loader, "tqdm"):  # the loader of most GGUF files has no hook
            bars = gguf_loader.tqdm
            gguf_loader.tqdm = told
            undone.callback(setattr, gguf_loader, "tqdm", bars)
        yield
