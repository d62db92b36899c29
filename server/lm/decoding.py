"""Continues a prompt, and gives out characters that can be shown.

Each pass gives one token, and more where they were drafted (server.lm.drafts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from server.lm.blocks import Segment
from server.lm.drafts import MOST_DRAFTED, Drafts, Path, tokens_of
from server.lm.packing import Indices, whole_tree
from server.lm.stopping import StoppedText
from server.tuning.ports import GenerateRequest, ModelCost, Piece

_GREEDY_BELOW = 1e-6
"""Below this temperature the most probable token is drawn almost surely, and dividing logits by it
would overflow."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What a pass brought, and which of the segment's tokens later passes see; None for all."""

    piece: Piece
    kept: Indices | None = None


class Generation:
    """One continuation under way: what the model reads next, and what it has written.

    It ends at one of the tokens `ends`, before one of `request.stop`, or after `max_tokens` tokens.
    A pass reads at most `most_drafted` tokens of drafts.
    """

    def __init__(
        self,
        stream: int,
        prompt: Sequence[int],
        request: GenerateRequest,
        tokenizer: PreTrainedTokenizerBase,
        ends: frozenset[int],
        max_tokens: int,
        drafts: Drafts | None = None,
        most_drafted: int = MOST_DRAFTED,
    ) -> None:
        self.stream = stream
        self.finished = False
        self._unread = tuple(prompt)
        self._position = 0
        self._left = max_tokens
        self._ends = ends
        self._draw = _Draw(request)
        self._learning = request.learning
        self._text = GrowingText(tokenizer, request.stop)
        self._drafts = drafts if drafts is not None and self._draw.is_greedy else Drafts()
        self._most_drafted = most_drafted

    @property
    def unread(self) -> int:
        """How many certain tokens the model has not read yet: of the prompt, or the last drawn."""
        return len(self._unread)

    def tokens_wanted(self, room: int) -> int:
        """How many tokens the next pass reads: those that are certain, and drafts if they fit."""
        if room <= len(self._unread):
            return room
        return len(self._unread) + tokens_of(self._ahead(room))

    def next_segment(self, room: int) -> Segment:
        """What the next pass reads: as much of the prompt as fits, or the last token and drafts."""
        return replace(self._next_segment(room), learning=self._learning)

    def _next_segment(self, room: int) -> Segment:
        drafts = self._ahead(room)
        if drafts:
            tree = whole_tree([self._unread + draft for draft in drafts])
            return Segment.of_drafts(self.stream, tree, self._position, len(self._unread))
        tokens = self._unread[:room]
        return Segment.of_stream(
            self.stream, tokens, self._position, read_last=len(tokens) == len(self._unread)
        )

    def _ahead(self, room: int) -> list[Path]:
        """The drafts that fit into a pass with room for `room` tokens."""
        most = min(self._most_drafted, room - len(self._unread))
        return self._drafts.ahead(most, self._left - 1) if most > 0 else []

    def advance(self, segment: Segment, logits: torch.Tensor, number: int) -> Advance:
        """Take what pass `number` read.

        logits: (1 + drafted tokens, vocabulary), or (0, vocabulary) where the prompt goes on.
        """
        # The draws may run out of memory, so they come before anything is changed
        drawn, accepted = self._drawn(segment, logits)
        read = len(segment.tokens)
        if not drawn:
            self._unread = self._unread[read:]
            self._position += read
            return Advance(Piece("", ModelCost(1, read, passes=frozenset([number]))))
        certain = len(self._unread)
        text, taken = "", 0
        for token in drawn:
            text += self._take(token)
            taken += token not in self._ends
            if self.finished:
                break
        self._unread = (drawn[-1],)
        self._position += certain + len(accepted)
        cost = ModelCost(
            1,
            read,
            tokens_generated=taken,
            tokens_drafted=read - certain,
            tokens_accepted=min(taken, len(accepted)),
            passes=frozenset([number]),
        )
        kept = np.concatenate([np.arange(certain), np.array(accepted, dtype=np.int64)])
        return Advance(Piece(text, cost), kept if len(kept) < read else None)

    def _drawn(self, segment: Segment, logits: torch.Tensor) -> tuple[list[int], list[int]]:
        """The tokens that follow what was read, and the places of those that were drafted.

        Each drafted token that is the one drawn there leads to the draw after it.
        """
        drawn: list[int] = []
        accepted: list[int] = []
        place: int | None = int(segment.read[0]) if len(segment.read) else None
        first = place
        while place is not None and first is not None:
            token = self._draw(logits[place - first].float())
            drawn.append(token)
            place = segment.child(place, token)
            if place is not None:
                accepted.append(place)
        return drawn, accepted

    def _take(self, token: int) -> str:
        """Write `token`, unless it ends the text. Returns the characters that are certain now."""
        if token in self._ends:
            self.finished = True
            return self._text.rest()
        self._left -= 1
        self._drafts.follow(token)
        text = self._text.feed(token)
        self.finished = self._text.stopped or self._left == 0
        if self.finished and not self._text.stopped:
            text += self._text.rest()
        return text


class _Draw:
    """Chooses the next token: the most probable, or a draw if there is a temperature.

    The same seed repeats the draws.
    """

    def __init__(self, request: GenerateRequest) -> None:
        self._temperature = request.temperature or 0.0
        self.is_greedy = self._temperature < _GREEDY_BELOW
        self._generator = torch.Generator()
        if request.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(request.seed % (1 << 63))

    def __call__(self, logits: torch.Tensor) -> int:  # (vocabulary,)
        if self.is_greedy:
            return int(logits.argmax())
        probabilities = torch.softmax(logits.cpu() / self._temperature, dim=-1)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


class GrowingText(StoppedText):
    """Turns tokens into text, in whole characters and never past a stop text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> None:
        super().__init__(stop)
        self._tokenizer = tokenizer
        self._tokens: list[int] = []

    def feed(self, token: int) -> str:
        """Add `token`, and return the characters that are now certain."""
        self._tokens.append(token)
        return self.grow(
            self._tokenizer.decode(
                self._tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
