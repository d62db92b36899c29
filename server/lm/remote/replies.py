"""What an OpenAI-compatible server sends: completions, whole or in pieces, models and refusals."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

LEAST_LOGPROB = -9999.0
"""The log-probability of what cannot be, as vLLM sends it: JSON has no infinity."""

_CONTEXT = re.compile(r"context length(?: is)?\s*\(?(\d+)", re.IGNORECASE)
"""vLLM, llama-cpp-python and OpenAI: "maximum context length is 2048 tokens"; SGLang: "the model's
context length (2048 tokens)"."""

Reply = TypeVar("Reply", bound=BaseModel)


class RequestRefused(Exception):
    """The server refused a request for good: an HTTP status, and the context that it named."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        named = _CONTEXT.search(message)
        self.context_tokens = int(named[1]) if named else None


class UnusableReply(Exception):
    """A reply that does not say what was asked. The message holds nothing of the texts."""


class Logprobs(BaseModel):
    """The tokens of a text, and each one's log-probability; None where there is none."""

    tokens: Sequence[str] = ()
    token_logprobs: Sequence[float | None] = ()
    top_logprobs: Sequence[Mapping[str, float] | None] | None = None

    def total(self, start: int, stop: int) -> float:
        """The sum over the tokens from `start` up to `stop`. Raises UnusableReply."""
        found = self.token_logprobs[start:stop] if start >= 0 else ()
        if len(found) < stop - start:
            raise UnusableReply("it has fewer tokens than were sent")
        total = 0.0
        for logprob in found:
            if logprob is None or math.isnan(logprob):
                raise UnusableReply("a token has no log-probability")
            total += max(logprob, LEAST_LOGPROB)
        return total


class Choice(BaseModel):
    """One prompt's completion, or a piece of it."""

    index: int = 0
    text: str = ""
    logprobs: Logprobs | None = None


class Usage(BaseModel):
    """How many tokens were generated."""

    completion_tokens: int = 0


class Completion(BaseModel):
    """The reply to /completions, and each event of a stream."""

    choices: Sequence[Choice] = ()
    usage: Usage | None = None
    error: object = None

    def in_order(self, count: int) -> list[Choice]:
        """The choices in the order of their prompts. Raises UnusableReply unless all are there."""
        ordered = sorted(self.choices, key=lambda choice: choice.index)
        if [choice.index for choice in ordered] != list(range(count)):
            raise UnusableReply("it does not have one completion for each prompt")
        return ordered


class Model(BaseModel):
    """A model that the server has. vLLM and SGLang say how many tokens its context holds."""

    id: str
    max_model_len: int | None = None


class Models(BaseModel):
    """The reply to /models."""

    data: Sequence[Model] = ()


def read_reply(kind: type[Reply], body: bytes | str) -> Reply:
    """The reply in `body`. Raises UnusableReply."""
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        raise UnusableReply("it is not what an OpenAI-compatible server sends") from None
