"""Continues a prompt token by token, and gives out characters that can be shown."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from server.lm.blocks import Segment
from server.tuning.ports import GenerateRequest, ModelCost, Piece

_INCOMPLETE = "�"
"""A tokenizer decodes an incomplete character to this."""

_GREEDY_BELOW = 1e-6
"""Below this temperature the most probable token is drawn almost surely, and dividing logits by it
would overflow."""


class Generation:
    """One continuation under way: what the model reads next, and what it has written.

    It ends at one of the tokens `ends`, before one of `request.stop`, or after `max_tokens` tokens.
    """

    def __init__(
        self,
        stream: int,
        prompt: Sequence[int],
        request: GenerateRequest,
        tokenizer: PreTrainedTokenizerBase,
        ends: frozenset[int],
        max_tokens: int,
    ) -> None:
        self.stream = stream
        self.finished = False
        self._unread = list(prompt)
        self._position = 0
        self._left = max_tokens
        self._ends = ends
        self._draw = _Draw(request)
        self._text = GrowingText(tokenizer, request.stop)

    @property
    def unread(self) -> int:
        """How many tokens the model has not read yet: of the prompt, or the one drawn last."""
        return len(self._unread)

    def next_segment(self, room: int) -> Segment:
        """What the next forward pass reads: the last token, or as much of the prompt as fits."""
        tokens = self._unread[:room]
        return Segment.of_stream(
            self.stream, tokens, self._position, read_last=len(tokens) == len(self._unread)
        )

    def advance(self, segment: Segment, logits: torch.Tensor) -> Piece:
        """Take what was read, and return the text that it gives.

        logits: (1, vocabulary), or (0, vocabulary) where the prompt goes on.
        """
        read = len(segment.tokens)
        # The draw may run out of memory, so it comes before anything is changed
        token = self._draw(logits[0].float()) if len(logits) else None
        del self._unread[:read]
        self._position += read
        if token is None:
            return Piece("", ModelCost(1, read, 0))
        if token in self._ends:
            self.finished = True
            return Piece(self._text.rest(), ModelCost(1, read, 0))
        self._left -= 1
        text = self._text.feed(token)
        self.finished = self._text.stopped or self._left == 0
        if self.finished and not self._text.stopped:
            text += self._text.rest()
        self._unread.append(token)
        return Piece(text, ModelCost(1, read, 1))


class _Draw:
    """Chooses the next token: the most probable, or a draw if there is a temperature.

    The same seed repeats the draws.
    """

    def __init__(self, request: GenerateRequest) -> None:
        self._temperature = request.temperature or 0.0
        self._generator = torch.Generator()
        if request.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(request.seed % (1 << 63))

    def __call__(self, logits: torch.Tensor) -> int:  # (vocabulary,)
        if self._temperature < _GREEDY_BELOW:
            return int(logits.argmax())
        probabilities = torch.softmax(logits.cpu() / self._temperature, dim=-1)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


class GrowingText:
    """Turns tokens into text, in whole characters and never past a stop text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._longest = max((len(s) for s in stop), default=1)
        self._tokens: list[int] = []
        self._given = 0
        self._text = ""
        self.stopped = False

    def feed(self, token: int) -> str:
        """Add `token`, and return the characters that are now certain.

        Held back are incomplete characters, and those that may be the beginning of a stop text.
        """
        self._tokens.append(token)
        self._text = self._tokenizer.decode(
            self._tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        # A stop text right at the start is only the line end before an answer, so the search
        # starts after the leading blanks
        lead = len(self._text) - len(self._text.lstrip())
        found = [at for s in self._stop if (at := self._text.find(s, lead)) >= 0]
        if found:
            self.stopped = True
            return self._give(min(found))
        held = self._longest - 1
        whole = self._text.rstrip(_INCOMPLETE)
        return self._give(max(self._given, min(len(whole), len(self._text) - held)))

    def rest(self) -> str:
        """The characters that were held back, once there are no more tokens."""
        return self._give(len(self._text))

    def _give(self, upto: int) -> str:
        ready = self._text[self._given : upto]
        self._given = max(self._given, upto)
        return ready
