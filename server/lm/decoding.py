"""Continuing a prompt token by token, with a key-value cache, as characters that can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from server.tuning.ports import GenerateRequest, ModelCost, Piece

_INCOMPLETE = "�"
"""What a tokenizer decodes a cut character to."""


def decode(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    request: GenerateRequest,
    ends: frozenset[int],
    max_tokens: int,
) -> Iterator[Piece]:
    """The continuation of `prompt` in pieces: one for each forward pass, some without text.

    Ends at one of the tokens `ends`, before one of `request.stop`, or after `max_tokens` tokens.
    """
    draw = _Draw(request)
    text = GrowingText(tokenizer, request.stop)
    ids = torch.tensor([list(prompt)], device=model.device)
    cache = None
    for step in range(max_tokens):
        with torch.inference_mode():
            out = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        token = draw(out.logits[0, -1].float())
        read = ids.shape[1]
        if token in ends:
            yield Piece(text.rest(), ModelCost(1, read, 0))
            return
        ready = text.feed(token)
        last = text.stopped or step + 1 == max_tokens
        yield Piece(ready + (text.rest() if last and not text.stopped else ""), ModelCost(1, read, 1))
        if last:
            return
        ids = torch.tensor([[token]], device=model.device)


class _Draw:
    """The next token: the most probable one, or with a temperature a draw that the seed repeats."""

    def __init__(self, request: GenerateRequest) -> None:
        self._temperature = request.temperature or 0.0
        self._generator = torch.Generator()
        if request.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(request.seed % (1 << 63))

    def __call__(self, logits: torch.Tensor) -> int:  # (vocabulary,)
        if not self._temperature:
            return int(logits.argmax())
        probabilities = torch.softmax(logits.cpu() / self._temperature, dim=-1)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


class GrowingText:
    """Tokens as text, given out in whole characters and never past a stop text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._longest = max((len(s) for s in stop), default=1)
        self._tokens: list[int] = []
        self._given = 0
        self._text = ""
        self.stopped = False

    def feed(self, token: int) -> str:
        """The characters that `token` completes and that no stop text can still begin in."""
        self._tokens.append(token)
        self._text = self._tokenizer.decode(self._tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        # A stop text right at the start is only the line end before an answer: look behind the leading blanks.
        lead = len(self._text) - len(self._text.lstrip())
        found = [at for s in self._stop if (at := self._text.find(s, lead)) >= 0]
        if found:
            self.stopped = True
            return self._give(min(found))
        held = self._longest - 1
        whole = self._text.rstrip(_INCOMPLETE)
        return self._give(min(len(whole), len(self._text) - held))

    def rest(self) -> str:
        """What was held back, at the end."""
        return self._give(len(self._text))

    def _give(self, upto: int) -> str:
        ready = self._text[self._given : upto]
        self._given = max(self._given, upto)
        return ready
