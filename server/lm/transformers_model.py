"""The LanguageModel on transformers: any Hugging Face causal model, on a processor or a GPU."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from server.lm import defaults
from server.lm.drafts import MOST_DRAFTED
from server.lm.forward import Taps, choose_forward
from server.lm.loading import LoadedModel
from server.lm.preparation import Preparation
from server.lm.states import StateTap
from server.lm.tokens import tokenizer_of
from server.lm.work import GenerateWork, ModelWork, ScoreWork
from server.lm.worker import ModelWorker
from server.tuning.deadline import call_deadline
from server.tuning.ports import Branch, GenerateRequest, Piece, Scores, Sight
from server.tuning.ticket import Ticket, call_ticket
from server.tuning.together import asked_with
from server.tuning.watching import UNSEEN, call_watch

BLOCK_TOKENS = 64
"""Queries in a block of attention. About as many as a tree's root has tokens, so that neither the
roots nor the blocks make up most of the keys."""

_log = logging.getLogger("kgt")


class TransformersModel:
    """Scores continuations and generates text with one model, on one thread, for all users at once.

    `token_budget` is the number of tokens in a forward pass; 0 chooses one for the device.
    `prompt_share` is the share of it that prompts get while any generation writes. At most
    `streams` generations are under way at once, and at most `queue_capacity` requests wait. In each
    pass a generation reads at most `most_drafted` tokens of its drafts. `sight` watches the passes.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        queue_capacity: int = defaults.QUEUE,
        token_budget: int = 0,
        prompt_share: float = defaults.PROMPT_SHARE,
        streams: int = 32,
        block_tokens: int = BLOCK_TOKENS,
        most_drafted: int = MOST_DRAFTED,
        sight: Sight = UNSEEN,
    ) -> None:
        self._loaded = loaded
        _log.info("warming the model")
        self._tokenizer = tokenizer_of(loaded.model, loaded.tokenizer, loaded.context_tokens)
        self._ends = _ends(loaded.model, loaded.tokenizer)
        self._streams = itertools.count()
        on_processor = loaded.model.device.type == "cpu"
        forward = choose_forward(
            loaded.model,
            block_tokens,
            Taps(StateTap(loaded.model, loaded.keys.layer), loaded.learning),
        )
        self._most_drafted = most_drafted if forward.takes_drafts else 0
        self._worker = ModelWorker(
            forward,
            capacity=queue_capacity,
            budget=token_budget
            or (defaults.PROCESSOR_TOKENS if on_processor else defaults.GPU_TOKENS),
            streams=streams,
            prompt_share=prompt_share,
            sight=sight,
        )
        self._arriving: dict[object, list[ModelWork]] = {}
        self._preparation = Preparation(self._worker.start, self._worker.refuse)

    @property
    def fingerprint(self) -> str:
        return self._loaded.fingerprint

    @property
    def adapter_fingerprint(self) -> str:
        return self._loaded.adapter_fingerprint

    @property
    def key_fingerprint(self) -> str:
        return self._loaded.keys.fingerprint

    def key_prompt(self, query: str) -> str:
        return self._loaded.keys.prompt(query)

    @property
    def floor(self) -> float:
        return self._loaded.keys.floor

    @property
    def sure(self) -> float:
        return self._loaded.keys.sure

    @property
    def max_scored_triples(self) -> int:
        on_a_processor = self._loaded.model.device.type == "cpu"
        return defaults.PROCESSOR_SCORED_TRIPLES if on_a_processor else defaults.GPU_SCORED_TRIPLES

    @property
    def token_budget(self) -> int:
        """Tokens in a forward pass. Smaller for a while after memory has run out."""
        return self._worker.budget.tokens

    async def score(self, branches: Sequence[Branch]) -> Scores:
        """The log-probabilities of all continuations, and the keys asked for.

        Raises TextTooLong, RequestTooLarge, ModelBusy, Overloaded, DeadlinePassed.
        """
        for branch in branches:
            self._tokenizer.require_bounded(branch.prompt, branch.field)
            for number, continuation in enumerate(branch.continuations):
                self._tokenizer.require_bounded(continuation, branch.field_to_shorten(number))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Scores] = loop.create_future()

        def settle(setter: Callable[[Any], None], value: object) -> None:
            if not future.done():
                setter(value)

        work = ScoreWork(
            branches,
            self._tokenizer,
            self._worker.budget,
            keys=self._loaded.keys,
            ticket=call_ticket.get() or Ticket(),
            deadline=call_deadline.get(),
            give=lambda scores: _call(loop, settle, future.set_result, scores),
            fail=lambda error: _call(loop, settle, future.set_exception, error),
        )
        self._begin(work)
        try:
            return await future
        finally:
            work.leave()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """The continuation of a prompt.

        Raises TextTooLong, ModelBusy, Overloaded, DeadlinePassed.
        """
        self._tokenizer.require_bounded(request.prompt, request.field)
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()

        def give(item: Piece | BaseException | None) -> None:
            _call(loop, pieces.put_nowait, item)

        work = GenerateWork(
            request,
            self._tokenizer,
            self._ends,
            next(self._streams),
            ticket=call_ticket.get() or Ticket(),
            deadline=call_deadline.get(),
            give=give,
            fail=give,
            most_drafted=self._most_drafted,
        )
        self._begin(work)
        try:
            while (item := await pieces.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            work.leave()

    def _begin(self, work: ModelWork) -> None:
        """Give `work` its place in the queue, then prepare it.

        What is asked together is prepared once all of it has a place.
        """
        self._worker.submit(work)
        work.asked = call_watch.get().asked(work.kind)
        company = asked_with.get()
        if company is None:
            self._preparation.begin(work)
            return
        arrived = self._arriving.setdefault(company, [])
        if not arrived:
            # The others of the company have their first turn before this callback has its own
            asyncio.get_running_loop().call_soon(self._prepare_together, company)
        arrived.append(work)

    def _prepare_together(self, company: object) -> None:
        works = self._arriving.pop(company)
        for work in works:
            work.partners = works
        for work in works:
            self._preparation.begin(work)

    def close(self) -> None:
        """Stop the threads once the work under way is done."""
        self._preparation.close()
        self._worker.close()


def _call(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object
) -> None:
    """Call on the loop's thread. If the loop has ended, nobody is left to be told."""
    # The only thing that call_soon_threadsafe raises is a RuntimeError for a loop that has ended
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *arguments)


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end a generation."""
    configured = (
        model.generation_config.eos_token_id if model.generation_config is not None else None
    )
    ids = configured if isinstance(configured, list) else [configured, tokenizer.eos_token_id]
    return frozenset(i for i in ids if i is not None)
