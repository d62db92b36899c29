"""The port to a language model: what is asked, what it answers, and what that costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Key = npt.NDArray[np.float32]
"""What a query asks, as the model sees it: a vector of length 1. Two queries ask the same as far as
their keys' inner product is near 1."""

Normalization = Literal["mean", "sum"]
"""How a continuation's probability is made of its tokens': P = exp(mean) (default) or exp(sum)."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A prompt, and the continuations whose probability after it is asked for.

    Each continuation starts with a space. With `keyed`, the key of the prompt is asked for too.
    `field` is the field of the request that the prompt is
    made of. `fields` are those of the continuations, if they come from the request too. If a text
    is too long, the caller is told to shorten its field.
    """

    prompt: str
    continuations: tuple[str, ...]
    field: str = "query"
    fields: tuple[str, ...] = ()
    keyed: bool = False

    def field_to_shorten(self, number: int) -> str:
        """The field that takes up most of the prompt and its continuation `number`."""
        if self.fields and len(self.continuations[number]) > len(self.prompt):
            return self.fields[number]
        return self.field


@dataclass(frozen=True, slots=True)
class ContinuationLogprob:
    """ln P(continuation | prompt): the sum over its tokens, and their number."""

    total: float
    tokens: int


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What a call cost: forward passes, tokens that went into the model, tokens generated.

    `tokens_drafted` were read because they were likely to be generated, and `tokens_accepted` of
    them were. `passes` are the passes' numbers, if the model numbers them: a pass that two calls
    share counts once in their sum.
    """

    forward_passes: int = 0
    tokens_read: int = 0
    tokens_generated: int = 0
    tokens_drafted: int = 0
    tokens_accepted: int = 0
    passes: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    def __add__(self, other: ModelCost) -> ModelCost:
        shared = len(self.passes & other.passes)
        return ModelCost(
            self.forward_passes + other.forward_passes - shared,
            self.tokens_read + other.tokens_read,
            self.tokens_generated + other.tokens_generated,
            self.tokens_drafted + other.tokens_drafted,
            self.tokens_accepted + other.tokens_accepted,
            self.passes | other.passes,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """The log-probabilities of a request's continuations, in the same order, and their cost.

    `keys` has each branch's key; None where none was asked for.
    """

    logprobs: tuple[tuple[ContinuationLogprob, ...], ...]
    cost: ModelCost
    keys: tuple[Key | None, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A prompt to continue until the model ends, a stop text appears, or `max_tokens` are written.

    Without a temperature, the most probable token is always taken. `seed` makes a draw repeatable.
    `drafts` are texts that the continuation may begin with, or go on with, the likeliest first.
    They save passes and change nothing about the text; with a temperature they are not used.
    `field` is the field of the request to shorten if the prompt is too long. `learning` says that
    the prompt is of the learning template, for which a model may have an adapter of its own.
    """

    prompt: str
    max_tokens: int
    stop: tuple[str, ...] = ("\n",)
    temperature: float | None = None
    seed: int | None = None
    drafts: tuple[str, ...] = field(default=(), compare=False)
    field: str = "query"
    learning: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """The next whole characters of a generation, and what they cost."""

    text: str
    cost: ModelCost


class LanguageModel(Protocol):
    """A causal language model.

    Older calls' work goes first (`server.tuning.ticket`). Work that has not reached the model by
    the call's deadline (`server.tuning.deadline`) is dropped.

    Errors: TextTooLong if a text does not fit, RequestTooLarge if all texts together ask too much,
    ModelBusy if the queue is full, Overloaded if it is too long for the call's deadline,
    DeadlinePassed for work that was dropped.
    """

    @property
    def fingerprint(self) -> str:
        """A hash of the weights, the tokenizer, the kind of device and the number format."""
        ...

    @property
    def adapter_fingerprint(self) -> str:
        """A hash of the adapter's weights; empty without an adapter."""
        ...

    @property
    def key_fingerprint(self) -> str:
        """A hash of all that keys depend on. Keys of another fingerprint cannot be compared."""
        ...

    def key_prompt(self, query: str) -> str:
        """The prompt whose key is that of `query`."""
        ...

    @property
    def floor(self) -> float:
        """The inner product of keys from which on two queries ask the same."""
        ...

    @property
    def sure(self) -> float:
        """The inner product of keys from which on that is sure, without another question."""
        ...

    @property
    def max_scored_triples(self) -> int:
        """The most triples that one Personalize should score on this device."""
        ...

    async def score(self, branches: Sequence[Branch]) -> Scores:
        """The log-probabilities of all continuations, in float32, and the keys asked for."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """The continuation of a prompt, piece by piece."""
        ...

    def close(self) -> None:
        """Finish the work under way and refuse any other."""
        ...
