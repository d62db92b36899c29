"""One thread that runs the model, behind a bounded queue, so that the event loop never waits for a
tensor.

Each turn of the thread is one forward pass: a token of every generation under way, then the waiting
work in the order in which it came, as much as the token budget holds. What comes alone starts at
once; a long generation delays nobody by more than the pass under way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import torch

from server.errors import (
    DeadlinePassed,
    Internal,
    KgtError,
    ModelBusy,
    RequestTooLarge,
    ShuttingDown,
)
from server.lm.blocks import Segment
from server.lm.decoding import Generation
from server.lm.forward import Forward, continuation_logprobs, wanted_nodes
from server.lm.packing import TokenSequence, Tree, pack
from server.lm.tokens import Steps, Tokenizer
from server.tuning.ports import (
    Branch,
    ContinuationLogprob,
    GenerateRequest,
    ModelCost,
    Piece,
    Scores,
)

RECOVERY_PASSES = 256
"""After so many forward passes that fitted, a budget that memory had halved is doubled: a failed
try costs one of these."""

_LEAST_BUDGET = 16
_REQUEST_PASSES, _LEAST_REQUEST_TOKENS = 64, 1 << 18
"""A request may have the model read so many passes' tokens, or so many tokens where passes are
small."""

_STOPPING = "the server is stopping; try another one, or again later"

_log = logging.getLogger("kgt")


@dataclass(slots=True, eq=False)
class Job:
    """Work for the model. `deadline` counts until it starts; `cancelled` between forward passes.

    `ready` once it is prepared: until then it keeps its place in the queue, and others pass it.
    """

    fail: Callable[[BaseException], None]
    deadline: float | None
    cancelled: threading.Event = field(default_factory=threading.Event, init=False)
    ready: bool = field(default=False, init=False)

    @property
    def longest_text(self) -> int:
        """Characters of the longest text that has to be tokenized for it."""
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class ScoreJob(Job):
    """Branches to be scored; `give` gets the result."""

    branches: Sequence[Branch]
    give: Callable[[Scores], None]
    scoring: _Scoring | None = field(default=None, init=False)

    @property
    def longest_text(self) -> int:
        return max(
            (len(b.prompt) + max(map(len, b.continuations), default=0) for b in self.branches),
            default=0,
        )


@dataclass(slots=True, eq=False)
class GenerateJob(Job):
    """A prompt to be continued; `give` gets the pieces, then None."""

    request: GenerateRequest
    give: Callable[[Piece | None], None]
    prompt: list[int] = field(default_factory=list, init=False)
    generation: Generation | None = field(default=None, init=False)

    @property
    def longest_text(self) -> int:
        return len(self.request.prompt)


class ModelWorker:
    """Runs jobs. Full: ModelBusy. Expired or cancelled: dropped unstarted. Out of memory: halves
    its budget for a while."""

    def __init__(
        self,
        forward: Forward,
        tokenizer: Tokenizer,
        ends: frozenset[int],
        *,
        capacity: int,
        budget: int,
        streams: int,
    ) -> None:
        self.budget = budget
        self._full_budget = budget
        self._fitted = 0
        """Forward passes since memory last ran out."""
        self._forward = forward
        self._tokenizer = tokenizer
        self._ends = ends
        self._capacity = capacity
        self._streams = streams
        self._numbers = count()
        self._waiting: deque[Job] = deque()
        self._scoring: deque[ScoreJob] = deque()
        """Begun, with trees left to run."""
        self._generating: list[GenerateJob] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue `job`: it runs once `start` is called. Raises ModelBusy, ShuttingDown."""
        with self._changed:
            if self._closed:
                raise ShuttingDown(_STOPPING)
            if len(self._waiting) >= self._capacity:
                self._waiting = deque(j for j in self._waiting if not j.cancelled.is_set())
            if len(self._waiting) >= self._capacity:
                raise ModelBusy(
                    f"{len(self._waiting)} requests are waiting for the model already; try again",
                    retry_after_s=1.0,
                )
            self._waiting.append(job)

    def start(self, job: Job) -> None:
        """`job` is prepared and may run."""
        with self._changed:
            job.ready = True
            self._changed.notify_all()

    def refuse(self, job: Job, error: KgtError) -> None:
        """`job` cannot be prepared, or nobody wants it any more."""
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
        job.fail(error)

    def preparation(self, job: Job) -> Steps[None]:
        """The steps that prepare `job`, on any thread but the model's. Raise TextTooLong,
        RequestTooLarge."""
        if isinstance(job, ScoreJob):
            sequences = yield from self._tokenizer.sequences_in_steps(job.branches)
            scoring = _Scoring(sequences, job.branches, self.budget)
            limit = max(_REQUEST_PASSES * self._full_budget, _LEAST_REQUEST_TOKENS)
            if scoring.tokens > limit:
                raise RequestTooLarge(_longest_field(job.branches), scoring.tokens, limit)
            job.scoring = scoring
        else:
            assert isinstance(job, GenerateJob)
            job.prompt = yield from self._tokenizer.prompt_in_steps(job.request)

    def close(self) -> None:
        """Finish what is under way, fail what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    # On the model's thread

    def _run(self) -> None:
        while self._work_is_there():
            try:
                self._drop_cancelled()
                segments = self._chosen()
                if segments:
                    self._pass(segments)
            except (
                Exception
            ) as error:  # a defect: what is under way ends with it, the thread does not
                self._fail([(job, _NOTHING) for job in [*self._scoring, *self._generating]], error)

    def _work_is_there(self) -> bool:
        """Wait for work. False: there is none, and none will come."""
        with self._changed:
            while not (self._scoring or self._generating or any(map(self._is_due, self._waiting))):
                if self._closed:
                    return False
                self._changed.wait()
            return True

    def _is_due(self, job: Job) -> bool:
        """Whether a waiting job is to be run, or to be dropped."""
        return job.ready or self._closed or job.cancelled.is_set()

    def _drop_cancelled(self) -> None:
        for job in [j for j in self._generating if j.cancelled.is_set()]:
            self._end(job)
        self._scoring = deque(j for j in self._scoring if not j.cancelled.is_set())
        with self._changed:
            self._waiting = deque(j for j in self._waiting if not j.cancelled.is_set())

    def _chosen(self) -> list[tuple[Job, Segment]]:
        """The next forward pass. At least one segment where anything is under way; in all at most
        the budget."""
        chosen: list[tuple[Job, Segment]] = []
        room = self.budget
        for job in self._generating:
            assert job.generation is not None
            if (
                share := room - self.budget // 2
            ) > 0:  # generations leave half of a pass to the others
                chosen.append((job, job.generation.next_segment(share)))
                room -= len(chosen[-1][1].tokens)
        for begun in self._scoring:
            assert begun.scoring is not None
            segment = begun.scoring.next_segment()
            if len(segment.tokens) > room and chosen:
                return chosen
            chosen.append((begun, segment))
            room -= len(segment.tokens)
        while room > 0 and (next_one := self._next_waiting()):
            first = self._begun(next_one, room, alone=not chosen)
            if first is None:
                return chosen
            if len(first.tokens):
                chosen.append((next_one, first))
                room -= len(first.tokens)
        return chosen

    def _next_waiting(self) -> Job | None:
        """The first that waits and may start; it stays in the queue. What is cancelled or too late
        leaves it."""
        with self._changed:
            for job in list(self._waiting):
                if job.cancelled.is_set():
                    self._waiting.remove(job)
                elif self._closed:
                    self._waiting.remove(job)
                    job.fail(ShuttingDown(_STOPPING))
                elif job.deadline is not None and time.monotonic() >= job.deadline:
                    self._waiting.remove(job)
                    job.fail(
                        DeadlinePassed(
                            "the deadline passed before the model was asked", retry_after_s=None
                        )
                    )
                elif job.ready and (
                    isinstance(job, ScoreJob) or len(self._generating) < self._streams
                ):
                    return job
            return None

    def _begun(self, job: Job, room: int, *, alone: bool) -> Segment | None:
        """The first segment of a waiting job, taken from the queue; None (and left there) where it
        does not fit.

        An empty segment stands for a job that is over already.
        """
        try:
            if isinstance(job, ScoreJob):
                assert job.scoring is not None
                if not job.scoring.trees:
                    self._leave_queue(job)
                    job.give(job.scoring.result())
                    return _NOTHING
                segment = job.scoring.next_segment()
                if len(segment.tokens) > room and not alone:
                    return None
                self._scoring.append(job)
            else:
                assert isinstance(job, GenerateJob)
                job.generation = self._generation(job)
                segment = job.generation.next_segment(room)
                self._generating.append(job)
        except Exception as error:
            self._leave_queue(job)
            self._fail([(job, _NOTHING)], error)
            return _NOTHING
        self._leave_queue(job)
        return segment

    def _leave_queue(self, job: Job) -> None:
        with self._changed:
            self._waiting.remove(job)

    def _generation(self, job: GenerateJob) -> Generation:
        most = min(job.request.max_tokens, self._tokenizer.context_tokens - len(job.prompt))
        return Generation(
            next(self._numbers),
            job.prompt,
            job.request,
            self._tokenizer.tokenizer,
            self._ends,
            most,
        )

    def _pass(self, chosen: Sequence[tuple[Job, Segment]]) -> None:
        """One forward pass, and to each job its own."""
        try:
            logits = self._forward.run([segment for _, segment in chosen])
        except torch.OutOfMemoryError:
            logits = (
                None  # halved below: in here the error's own frames would still hold the memory
            )
        except Exception as error:
            if len(chosen) == 1:
                self._fail(chosen, error)
            else:  # one of them is at fault, and the others are not to suffer for it
                for single in chosen:
                    self._pass([single])
            return
        if logits is None:
            self._halve(chosen)
            return
        self._recover()
        at, unread = 0, []
        for job, segment in chosen:
            own = logits[at : at + len(segment.read)]
            at += len(segment.read)
            try:
                self._advance(job, segment, own)
            except torch.OutOfMemoryError:
                unread.append((job, segment))
            except Exception as error:
                self._fail([(job, segment)], error)
        if unread:
            self._halve(unread)
        # Where there is no room for all of them, the next pass begins with those that this one left
        # out
        begun = sum(isinstance(job, GenerateJob) for job, _ in chosen)
        self._generating = self._generating[begun:] + self._generating[:begun]

    def _advance(self, job: Job, segment: Segment, logits: torch.Tensor) -> None:
        if isinstance(job, GenerateJob):
            assert job.generation is not None
            job.give(job.generation.advance(segment, logits))
            if job.generation.finished:
                job.give(None)
                self._end(job)
        else:
            assert isinstance(job, ScoreJob)
            assert job.scoring is not None
            job.scoring.advance(logits)
            if not job.scoring.trees:
                self._scoring.remove(job)
                job.give(job.scoring.result())

    def _halve(self, chosen: Sequence[tuple[Job, Segment]]) -> None:
        """Less at once from now on. What was to run is cut anew and runs again; if it cannot be
        less, it fails."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        smaller = max(_LEAST_BUDGET, min(self.budget, sum(len(s.tokens) for _, s in chosen)) // 2)
        if smaller >= self.budget:
            self._fail(
                chosen,
                ModelBusy("the model's device has no memory left; try again", retry_after_s=1.0),
            )
            return
        _log.warning("out of memory: the token budget goes from %d to %d", self.budget, smaller)
        self.budget, self._fitted = smaller, 0
        for job in [*self._scoring, *self._waiting]:
            if isinstance(job, ScoreJob) and job.scoring is not None:
                job.scoring.cut(smaller)

    def _recover(self) -> None:
        """A pass has fitted. After enough of them more is tried again: what took the memory may be
        gone."""
        self._fitted += 1
        if self.budget < self._full_budget and self._fitted >= RECOVERY_PASSES:
            self.budget, self._fitted = min(2 * self.budget, self._full_budget), 0
            _log.info("the token budget goes back up to %d", self.budget)

    def _fail(self, chosen: Sequence[tuple[Job, Segment]], error: Exception) -> None:
        """End the jobs with `error`; one of a library's becomes Internal, since its message may
        hold anything."""
        if not isinstance(error, KgtError):
            _log.error("a forward pass failed: %s", type(error).__name__)
            error = Internal("a forward pass of the model failed; the server's log says more")
        for job, _ in chosen:
            if isinstance(job, GenerateJob):
                self._end(job)
            elif job in self._scoring:
                self._scoring.remove(job)  # type: ignore[arg-type]
            job.fail(error)

    def _end(self, job: GenerateJob) -> None:
        if job in self._generating:
            self._generating.remove(job)
        if job.generation is not None:
            self._forward.forget(job.generation.stream)


class _Scoring:
    """A request's trees, and what is known of its continuations so far."""

    def __init__(
        self, sequences: list[TokenSequence], branches: Sequence[Branch], budget: int
    ) -> None:
        self._branches = branches
        self._sequences = sequences
        self._totals = [0.0] * len(self._sequences)
        self._cost = ModelCost()
        self.trees: deque[Tree] = deque(pack(self._sequences, budget))

    @property
    def tokens(self) -> int:
        """How many tokens are left to be read."""
        return sum(len(tree.tokens) for tree in self.trees)

    def next_segment(self) -> Segment:
        return Segment.of_tree(self.trees[0], wanted_nodes(self.trees[0], self._sequences))

    def advance(self, logits: torch.Tensor) -> None:
        """The first tree has been read. logits: (wanted nodes, vocabulary)."""
        for number, total in continuation_logprobs(logits, self.trees[0], self._sequences):
            self._totals[number] = total
        self._cost += ModelCost(1, len(self.trees[0].tokens))
        self.trees.popleft()

    def cut(self, budget: int) -> None:
        """Pack what is left anew."""
        left = [number for tree in self.trees for number, _ in tree.paths]
        self.trees = deque(pack(self._sequences, budget, left))

    def result(self) -> Scores:
        found = iter(
            ContinuationLogprob(total, len(s.tokens) - s.scored_from)
            for total, s in zip(self._totals, self._sequences, strict=True)
        )
        logprobs = tuple(
            tuple(next(found) for _ in branch.continuations) for branch in self._branches
        )
        return Scores(logprobs, self._cost)


def _longest_field(branches: Sequence[Branch]) -> str:
    """The request's field with the longest continuation, which a caller can shorten."""
    lengths = {
        field: len(continuation)
        for branch in branches
        for field, continuation in zip(branch.fields, branch.continuations, strict=False)
    }
    return max(lengths, key=lengths.__getitem__, default="query")


_NOTHING = Segment.of_stream(-1, [], 0, read_last=False)
