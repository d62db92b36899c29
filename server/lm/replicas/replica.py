"""A replica of the model on Ray Serve: the scoring engine with its queue, for several servers."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from server.errors import KgtError
from server.lm.replicas.wire import About, Answered, Asked, Failure, SentTicket, of_replica
from server.tuning.deadline import deadline_at
from server.tuning.ports import GenerateRequest, LanguageModel, Scores, Sight
from server.tuning.ticket import Ticket, call_ticket
from server.tuning.watching import UNSEEN, call_watch

if TYPE_CHECKING:
    from server.lm.loading import ModelChoice

_STREAMS = 32
"""Generations under way next to those that wait."""
_QUERY = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for the query in a prompt."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Which model a replica loads, and how it shares its passes (see TransformersModel).

    `open_sight` opens what watches it, in its own process. None: nothing does.
    """

    choice: ModelChoice
    queue: int
    token_budget: int
    prompt_share: float
    open_sight: Callable[[], Sight] | None = None


@dataclass(frozen=True, slots=True)
class Scaling:
    """How many replicas there are. More are started while each has more than `waiting` requests.

    Each takes so many processors and GPUs of the cluster.
    """

    least: int = 1
    most: int = 1
    waiting: float = 8.0
    cpus: float = 1.0
    gpus: float = 0.0


class Replica:
    """One model in one process of a Ray cluster."""

    _sight: Sight = UNSEEN

    def __init__(self, engine: Engine) -> None:
        from server.lm.loading import load
        from server.lm.transformers_model import TransformersModel

        if engine.open_sight is not None:
            self._sight = engine.open_sight()
        self._model: LanguageModel = TransformersModel(
            load(engine.choice),
            engine.queue,
            engine.token_budget,
            engine.prompt_share,
            sight=self._sight,
        )
        self._number = secrets.randbits(63)

    def __del__(self) -> None:
        """Ray Serve calls it when it stops a replica: what was seen last is sent now."""
        self._sight.close()

    async def about(self) -> About:
        """What the model is."""
        model = self._model
        before, _, after = model.key_prompt(_QUERY).partition(_QUERY)
        return About(
            model.fingerprint,
            model.adapter_fingerprint,
            model.key_fingerprint,
            (before, after),
            model.floor,
            model.sure,
            model.max_scored_triples,
        )

    async def score(self, asked: Asked) -> Answered:
        """The scores of branches."""
        assert not isinstance(asked.question, GenerateRequest)
        ticket = self._received(asked)
        answer: Scores | Failure
        try:
            with _deadline(asked):
                scores = await self._model.score(asked.question)
            answer = replace(scores, cost=of_replica(scores.cost, self._number))
        except KgtError as error:
            answer = Failure.of(error)
        return Answered(answer, SentTicket.of(ticket, time.monotonic()))

    async def generate(self, asked: Asked) -> AsyncIterator[Answered]:
        """The pieces of a generation. The last one is empty and says that it is the end."""
        assert isinstance(asked.question, GenerateRequest)
        ticket = self._received(asked)
        end: Failure | None = None
        try:
            with _deadline(asked):
                async for piece in self._model.generate(asked.question):
                    counted = replace(piece, cost=of_replica(piece.cost, self._number))
                    yield Answered(counted, SentTicket.of(ticket, time.monotonic()))
        except KgtError as error:
            end = Failure.of(error)
        yield Answered(end, SentTicket.of(ticket, time.monotonic()))

    def _received(self, asked: Asked) -> Ticket:
        """The call's ticket, which its work here takes. Its spans are in the call's trace."""
        ticket = asked.ticket.received(time.monotonic())
        call_ticket.set(ticket)
        call_watch.set(self._sight.continued(asked.trace))
        return ticket


def _deadline(asked: Asked) -> Any:
    left_s = asked.left_s
    return deadline_at(None if left_s is None else time.monotonic() + left_s)


def application(engine: Engine, scaling: Scaling) -> Application:
    """Replicas as Ray Serve runs them. They batch by themselves, so each takes many requests."""
    deployment = serve.deployment(
        Replica,
        name="Replica",
        max_ongoing_requests=engine.queue + _STREAMS,
        autoscaling_config=AutoscalingConfig(
            min_replicas=scaling.least,
            initial_replicas=scaling.least,
            max_replicas=scaling.most,
            target_ongoing_requests=scaling.waiting,
        ),
        ray_actor_options={"num_cpus": scaling.cpus, "num_gpus": scaling.gpus},
    )
    return deployment.bind(engine)
