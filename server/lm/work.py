"""The two kinds of work for the model: scoring continuations, and generating text.

Both go the same way. `prepare` makes tokens of the texts; then, pass by pass, the schedule asks
`tokens_wanted`, the model reads `segment`, and `advance` takes the results and gives the caller
what is new, until the work has `finished`.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

from server.errors import DeadlinePassed, RequestTooLarge
from server.lm.blocks import Segment
from server.lm.decoding import Generation
from server.lm.drafts import Drafts, Path
from server.lm.forward import Results, continuation_logprobs, wanted_nodes
from server.lm.keys import KeyRule
from server.lm.packing import Indices, TokenSequence, Tree, cut_tree, fitting, pack
from server.lm.schedule import Budget
from server.lm.tokens import Steps, Tokenizer
from server.tuning.ports import (
    Asked,
    Branch,
    ContinuationLogprob,
    GenerateRequest,
    Key,
    ModelCost,
    Piece,
    Scores,
)
from server.tuning.ticket import Ticket
from server.tuning.watching import UNASKED

_REQUEST_PASSES, _LEAST_REQUEST_TOKENS = 64, 1 << 18
"""A request may have the model read as many tokens as this many passes hold. Where passes are
small, it may always ask for the second number."""

Failed: TypeAlias = Callable[[BaseException], None]


class ModelWork(ABC):
    """A request's work for the model (server.lm.plan.Work), and how the model does it.

    `fail` tells the caller of an error; results go out through a callback of the subclass. Another
    thread may set `cancelled` at any time; it counts from the next pass on.
    """

    kind: str
    """What is asked, in a word."""
    asked: Asked = UNASKED
    """What watches the question."""
    stream: int | None = None
    is_writing = False
    tokens_left = 0
    """What `tokens_wanted` counts, of all passes to come; 0 until it is prepared."""

    def __init__(self, *, ticket: Ticket, deadline: float | None, fail: Failed) -> None:
        self.ticket = ticket
        self.deadline = deadline
        self.fail = fail
        self.cancelled = threading.Event()
        self.settled = False
        """Whether its texts are tokens by now, or never will be."""
        self.partners: Sequence[ModelWork] = ()
        """Work that is to begin in the same pass."""

    @property
    def ready(self) -> bool:
        return self.settled and all(partner.settled for partner in self.partners)

    @property
    def is_cancelled(self) -> bool:
        return self.cancelled.is_set()

    def leave(self) -> None:
        """The caller has the results, or wants them no more."""
        self.cancelled.set()
        self.asked.ended()

    def require_wanted(self) -> None:
        """Raise DeadlinePassed if nobody waits for this any more."""
        if self.is_cancelled or (self.deadline is not None and time.monotonic() >= self.deadline):
            raise deadline_passed()

    @property
    @abstractmethod
    def longest_text(self) -> int:
        """Characters of the longest text that has to be tokenized."""

    @abstractmethod
    def prepare(self) -> Steps[None]:
        """Make tokens of the texts, in short steps. Raises TextTooLong and RequestTooLarge."""

    @abstractmethod
    def tokens_wanted(self, room: int) -> int:
        """How many tokens it would read in a pass with room for `room`; see plan.Work."""

    @abstractmethod
    def segment(self, tokens: int) -> Segment:
        """The next `tokens` tokens, as `tokens_wanted` said."""

    @abstractmethod
    def advance(self, segment: Segment, results: Results) -> Indices | None:
        """Take the segment's own results of a pass.

        Returns which of a stream's tokens later passes see; None for all.
        """

    @abstractmethod
    def complete(self) -> None:
        """Give the caller the end of the results; called once, after the last pass."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether it needs no further pass."""

    @abstractmethod
    def cut(self, tokens: int) -> None:
        """Cut what is left so that a pass reads at most `tokens` tokens of it, where that works."""


class ScoreWork(ModelWork):
    """Branches to be scored, as trees of tokens. Each pass reads a tree, or the beginning of one.

    `give` gets the scores, all at once.
    """

    kind = "score"

    def __init__(
        self,
        branches: Sequence[Branch],
        tokenizer: Tokenizer,
        budget: Budget,
        *,
        keys: KeyRule,
        ticket: Ticket,
        deadline: float | None,
        give: Callable[[Scores], None],
        fail: Failed,
    ) -> None:
        super().__init__(ticket=ticket, deadline=deadline, fail=fail)
        self._branches = branches
        self._key_rule = keys
        self._tokenizer = tokenizer
        self._budget = budget
        self._give = give
        self._sequences: list[TokenSequence] = []
        self._totals: list[float] = []
        self._keys: dict[int, Key] = {}
        """The keys that were found, by the number of their sequence."""
        self._cost = ModelCost()
        self._trees: deque[Tree] = deque()

    @property
    def longest_text(self) -> int:
        return max(map(_longest_text, self._branches), default=0)

    def prepare(self) -> Steps[None]:
        sequences = yield from self._tokenizer.sequences_in_steps(self._branches)
        trees = pack(sequences, self._budget.tokens)
        tokens = sum(len(tree.tokens) for tree in trees)
        limit = max(_REQUEST_PASSES * self._budget.full, _LEAST_REQUEST_TOKENS)
        if tokens > limit:
            raise RequestTooLarge(_longest_field(self._branches), tokens, limit)
        self._sequences = sequences
        self._totals = [0.0] * sum(len(branch.continuations) for branch in self._branches)
        self._set_trees(trees)

    def tokens_wanted(self, room: int) -> int:
        tree = self._trees[0]
        if len(tree.tokens) <= room:
            return len(tree.tokens)
        return fitting(tree, room) or len(tree.tokens)

    def segment(self, tokens: int) -> Segment:
        if tokens < len(self._trees[0].tokens):
            self._cut_first(tokens)
        tree = self._trees[0]
        scored, keyed = self._divided(tree)
        return Segment.of_tree(tree, wanted_nodes(scored, self._sequences), list(keyed.values()))

    def advance(self, segment: Segment, results: Results) -> None:
        tree = self._trees[0]
        scored, keyed = self._divided(tree)
        for number, total in continuation_logprobs(results.logits, scored, self._sequences):
            self._totals[number] = total
        for number, state in zip(keyed, results.states, strict=True):
            self._keys[number] = self._key_rule.key(state)
        self._cost += ModelCost(1, len(tree.tokens), passes=frozenset([results.number]))
        self._trees.popleft()
        self.tokens_left -= len(tree.tokens)

    def _divided(self, tree: Tree) -> tuple[Tree, dict[int, int]]:
        """The tree with only its continuations' paths; and each keyed prompt's last token."""
        count = len(self._totals)
        keyed = {number: path[-1] for number, path in tree.paths if number >= count}
        paths = tuple((number, path) for number, path in tree.paths if number < count)
        return replace(tree, paths=paths), keyed

    def complete(self) -> None:
        self._give(self._scores())

    @property
    def finished(self) -> bool:
        return not self._trees

    def cut(self, tokens: int) -> None:
        left = [number for tree in self._trees for number, _ in tree.paths]
        self._set_trees(pack(self._sequences, tokens, left))

    def _cut_first(self, tokens: int) -> None:
        """Make a tree of its own of the first tree's first `tokens` tokens."""
        tree, *others = self._trees
        first, left = cut_tree(tree, tokens)
        self._set_trees([first, *pack(self._sequences, self._budget.tokens, left), *others])

    def _set_trees(self, trees: Sequence[Tree]) -> None:
        self._trees = deque(trees)
        self.tokens_left = sum(len(tree.tokens) for tree in trees)

    def _scores(self) -> Scores:
        found = iter(
            ContinuationLogprob(total, len(s.tokens) - s.scored_from)
            for total, s in zip(self._totals, self._sequences, strict=False)
        )
        logprobs = [tuple(islice(found, len(b.continuations))) for b in self._branches]
        keys = iter(self._keys[number] for number in range(len(self._totals), len(self._sequences)))
        each = tuple(next(keys) if branch.keyed else None for branch in self._branches)
        return Scores(tuple(logprobs), self._cost, each)


class GenerateWork(ModelWork):
    """A prompt to be continued. A pass reads a part of the prompt, or the token drawn last.

    `give` gets piece after piece, and None at the end. `stream` must be unique in the model. A pass
    also reads at most `most_drafted` tokens of the request's drafts.
    """

    kind = "generate"
    stream: int

    def __init__(
        self,
        request: GenerateRequest,
        tokenizer: Tokenizer,
        ends: frozenset[int],
        stream: int,
        *,
        ticket: Ticket,
        deadline: float | None,
        give: Callable[[Piece | None], None],
        fail: Failed,
        most_drafted: int,
    ) -> None:
        super().__init__(ticket=ticket, deadline=deadline, fail=fail)
        self.stream = stream
        self._most_drafted = most_drafted
        self._request = request
        self._tokenizer = tokenizer
        self._ends = ends
        self._give = give
        self._started: Generation | None = None

    @property
    def longest_text(self) -> int:
        return len(self._request.prompt)

    def prepare(self) -> Steps[None]:
        prompt = yield from self._tokenizer.prompt_in_steps(self._request)
        drafts: list[Path] = []
        if self._most_drafted and self._request.drafts:
            drafts = yield from self._tokenizer.drafts_in_steps(self._request)
        room = self._tokenizer.context_tokens - len(prompt)
        self._started = Generation(
            self.stream,
            prompt,
            self._request,
            self._tokenizer.tokenizer,
            self._ends,
            min(self._request.max_tokens, room),
            Drafts(drafts),
            self._most_drafted,
        )
        self.tokens_left = self._generation.unread

    def tokens_wanted(self, room: int) -> int:
        return self._generation.tokens_wanted(room)

    def segment(self, tokens: int) -> Segment:
        return self._generation.next_segment(tokens)

    def advance(self, segment: Segment, results: Results) -> Indices | None:
        advance = self._generation.advance(segment, results.logits, results.number)
        self._give(advance.piece)
        self.is_writing = self.is_writing or bool(segment.read.size)
        self.tokens_left = self._generation.unread
        return advance.kept

    def complete(self) -> None:
        self._give(None)

    @property
    def finished(self) -> bool:
        return self._generation.finished

    def cut(self, tokens: int) -> None:
        """Nothing to do: a prompt is cut to the room that each pass has."""

    @property
    def _generation(self) -> Generation:
        assert self._started is not None, "the schedule asks only for what is ready"
        return self._started


def deadline_passed() -> DeadlinePassed:
    """The error of a request that did not get its first pass in time."""
    return DeadlinePassed("the deadline passed before the model was asked", retry_after_s=None)


def _longest_text(branch: Branch) -> int:
    return len(branch.prompt) + max(map(len, branch.continuations), default=0)


def _longest_field(branches: Sequence[Branch]) -> str:
    """The request's field with the longest continuation, which the caller can shorten."""
    lengths = {
        field: len(continuation)
        for branch in branches
        for field, continuation in zip(branch.fields, branch.continuations, strict=False)
    }
    return max(lengths, key=lengths.__getitem__, default="query")
