"""One thread that runs the model, behind a bounded queue, so that the event loop never waits for a tensor."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server.errors import DeadlinePassed, ModelBusy, ShuttingDown


@dataclass(slots=True)
class Job:
    """A piece of work for the model's thread. `cancelled` is read between steps; `deadline` before it starts."""

    work: Callable[[Job], None]
    fail: Callable[[BaseException], None]
    deadline: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


class ModelWorker:
    """Runs jobs in the order in which they came. Full: ModelBusy. Expired or cancelled: dropped unstarted."""

    def __init__(self, capacity: int) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._capacity = capacity
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue `job`. Raises ModelBusy, ShuttingDown."""
        with self._lock:
            if self._closed:
                raise ShuttingDown("the server is stopping; try another one, or again later")
            if self._waiting >= self._capacity:
                raise ModelBusy(
                    f"{self._waiting} requests are waiting for the model already; try again", retry_after_s=1.0
                )
            self._waiting += 1
        self._jobs.put(job)

    def close(self) -> None:
        """Finish the job under way, fail those that wait, and end the thread."""
        with self._lock:
            self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self._lock:
                self._waiting -= 1
                closed = self._closed
            if job.cancelled.is_set():
                continue
            if closed:
                job.fail(ShuttingDown("the server is stopping; try another one, or again later"))
            elif job.deadline is not None and time.monotonic() >= job.deadline:
                job.fail(DeadlinePassed("the deadline passed before the model was asked", retry_after_s=None))
            else:
                try:
                    job.work(job)
                except BaseException as error:
                    job.fail(error)


async def run_job(worker: ModelWorker, work: Callable[[], Any], deadline: float | None) -> Any:
    """Run `work` on the worker's thread and return what it returns. Cancelling drops it if it has not started."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(setter: Callable[[Any], None], value: Any) -> None:
        def on_loop() -> None:
            if not future.done():
                setter(value)

        loop.call_soon_threadsafe(on_loop)

    job = Job(
        work=lambda _: settle(future.set_result, work()),
        fail=lambda error: settle(future.set_exception, error),
        deadline=deadline,
    )
    worker.submit(job)
    try:
        return await future
    finally:
        job.cancelled.set()
