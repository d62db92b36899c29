"""How a server is asked for log-probabilities. Servers that call themselves compatible differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from server.lm.packing import TokenSequence
from server.lm.remote.replies import Choice, Logprobs, UnusableReply
from server.tuning.ports import GenerateRequest

_PREFERENCE = 100
"""The largest bias that OpenAI's interface has: the token is written, whatever the model thinks."""
_INCOMPLETE = "�"
_SEEDS = 1 << 31
_ID = "token_id:"
"""vLLM can be told to write tokens so."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A text, its tokens, and where the continuation begins whose log-probability is wanted."""

    text: str
    sequence: TokenSequence


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of a continuation that are asked for together, after whole characters."""

    asked: Asked
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server takes, and how it says what a continuation's log-probability is.

    With `way` "echo" it repeats the text with each token's log-probability. With "bias" each token
    of the continuation is forced by a bias, one request each, and comes with the log-probability
    that it has without the bias.
    """

    way: Literal["echo", "bias"] = "echo"
    takes_tokens: bool = True
    """Prompts may be lists of tokens. Otherwise they are texts, and the server makes tokens."""
    takes_many: bool = True
    """A request may have several prompts."""
    takes_samplers: bool = True
    """It knows the settings of samplers that OpenAI does not have, or ignores them."""
    left_out: int = 0
    """The tokens at the start that an echo leaves out."""

    def __str__(self) -> str:
        prompts = "tokens" if self.takes_tokens else "texts"
        return f"{self.way}, {'many' if self.takes_many else 'single'} {prompts}"


class Speaker:
    """Writes requests in one dialect, for one model, and reads what comes back."""

    def __init__(self, dialect: Dialect, name: str, tokenizer: PreTrainedTokenizerBase) -> None:
        self.dialect = dialect
        self._name = name
        self._tokenizer = tokenizer
        plain, added = (tokenizer("a", add_special_tokens=add).input_ids for add in (False, True))
        self._begins = added.index(plain[0]) if plain and plain[0] in added else 0
        """How many tokens the tokenizer puts before a text."""

    def request(self, prompts: Sequence[Any], **more: Any) -> dict[str, Any]:
        """The body of a request. A single prompt is not sent as a list of prompts."""
        body = {
            "model": self._name,
            "prompt": list(prompts) if self.dialect.takes_many else prompts[0],
            "max_tokens": 1,
            "temperature": 0,
            "top_p": 1,
            **more,
        }
        if self.dialect.takes_samplers:
            # llama-cpp-python's own defaults are others, and vLLM takes those of the model's files
            body |= {
                "top_k": len(self._tokenizer),
                "min_p": 0,
                "repeat_penalty": 1,
                "repetition_penalty": 1,
            }
        return body

    def prompt(self, text: str, tokens: Sequence[int]) -> Any:
        """A prompt as the server takes it. `tokens` are those of `text`."""
        return list(tokens) if self.dialect.takes_tokens else text

    def continuation(
        self, generate: GenerateRequest, tokens: Sequence[int], context_tokens: int
    ) -> dict[str, Any]:
        """Ask for a continuation, token by token. `tokens` are the prompt's; all that is read
        leaves one place of the server's context free.

        Stop texts are not sent: one right at the start is only the line end before an answer.
        """
        more: dict[str, Any] = {
            "max_tokens": min(generate.max_tokens, context_tokens - len(tokens) + 1),
            "temperature": generate.temperature or 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if generate.seed is not None:
            more["seed"] = generate.seed % _SEEDS
        return self.request([self.prompt(generate.prompt, tokens)], **more)

    # Echo

    def echo(self, asked: Sequence[Asked]) -> dict[str, Any]:
        """Ask for the log-probabilities of texts. One token more is generated and not looked at:
        not every server can generate none."""
        prompts = [self.prompt(one.text, one.sequence.tokens) for one in asked]
        return self.request(prompts, echo=True, logprobs=1)

    def echoed(self, choice: Choice, asked: Asked) -> float:
        """ln P(continuation | prompt). Raises UnusableReply."""
        logprobs = _logprobs(choice)
        start = asked.sequence.scored_from - self.dialect.left_out
        stop = len(asked.sequence.tokens) - self.dialect.left_out
        total = logprobs.total(start, stop)
        self._require_same(logprobs.tokens[start:stop], asked.sequence)
        return total

    def _require_same(self, returned: Sequence[str], sequence: TokenSequence) -> None:
        """Raise UnusableReply if the server's tokens are not ours, as far as can be seen."""
        own = sequence.tokens[sequence.scored_from :]
        if len(returned) != len(own) or not all(map(self._is_same, returned, own)):
            raise UnusableReply("it cuts the text into other tokens than the tokenizer here")

    def _is_same(self, returned: str, own: int) -> bool:
        if returned.startswith(_ID):
            return returned == f"{_ID}{own}"
        said = self._tokenizer.decode([own])
        # Servers write parts of characters and blanks at the start in their own ways
        return _INCOMPLETE in said or returned.strip() == said.strip()

    # Bias

    def parts(self, asked: Asked) -> list[Part]:
        """The continuation in the smallest parts before which there are whole characters."""
        sequence = asked.sequence
        start, stop = sequence.scored_from, len(sequence.tokens)
        cuts = [at for at in range(start + 1, stop) if self._is_whole(asked, at)]
        return [Part(asked, a, b) for a, b in pairwise([start, *cuts, stop])]

    def _is_whole(self, asked: Asked, at: int) -> bool:
        """Whether a prompt can end before token `at`."""
        return self.dialect.takes_tokens or asked.text.startswith(self._before(asked, at))

    def _before(self, asked: Asked, at: int) -> str:
        """The text of the tokens before token `at`."""
        return self._text(asked.sequence.tokens[self._begins : at])

    def bias(self, part: Part) -> dict[str, Any]:
        """Ask what log-probability the tokens of `part` have after those before it."""
        tokens = part.asked.sequence.tokens
        forced: Mapping[str, int] = {
            str(token): _PREFERENCE for token in tokens[part.start : part.stop]
        }
        prompt = self.prompt(self._before(part.asked, part.start), tokens[: part.start])
        more: dict[str, Any] = {"logprobs": 1, "logit_bias": forced}
        if (count := part.stop - part.start) > 1:
            # A bias says nothing about the order of a character's tokens; llama.cpp's grammars do
            said = json.dumps(self._said(part), ensure_ascii=False)
            more |= {"max_tokens": count, "grammar": f"root ::= {said}"}
        return self.request([prompt], **more)

    def biased(self, choice: Choice, part: Part) -> float:
        """The sum over the tokens of `part`. Raises UnusableReply if it wrote anything else."""
        total = _logprobs(choice).total(0, part.stop - part.start)
        wanted = self._said(part)
        if _INCOMPLETE not in wanted and choice.text.strip() != wanted.strip():
            raise UnusableReply("it writes another token than the one that it was told to")
        return total

    def _said(self, part: Part) -> str:
        return self._text(part.asked.sequence.tokens[part.start : part.stop])

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False)
        return text


def _logprobs(choice: Choice) -> Logprobs:
    if choice.logprobs is None:
        raise UnusableReply("it has no log-probabilities")
    return choice.logprobs
