"""Texts to tokens, as prompts and continuations, in steps of bounded work."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from server.errors import RequestTooLarge, TextTooLong
from server.lm.packing import TokenSequence, common_prefix
from server.lm.pieces import PIECE_CHARACTERS, pieces, traits_of
from server.tuning.ports import Branch, GenerateRequest

_STEP_CHARACTERS = 1 << 15
"""One step tokenizes about so many characters: 10 ms. A text that cannot be cut is one step."""
_STEP_TEXTS = 256
_CHARACTERS_BEFORE_DRAFT, _DRAFT_CHARACTERS = 32, 512
"""How much of a prompt is tokenized with a draft, and of a draft."""
_MOST_TOKENS_OF_A_CHARACTER = 8
"""More than the bytes of any character."""
_REQUEST_TOKENS = 1 << 24
"""A request's texts may have so many tokens in all, counted before common beginnings are shared:
128 MB while they are prepared."""

Result = TypeVar("Result")
Steps = Generator[None, None, Result]
"""Work that pauses after each step, so that others can have a turn."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text to be tokenized, with at most `limit` tokens.

    `field` is the request's field to shorten if there are more.
    """

    text: str
    limit: int
    field: str


class Tokenizer:
    """A model's tokenizer, which refuses texts that do not fit the model's context.

    Long texts are tokenized piece by piece, and each distinct piece of a request once: what all
    prompts share costs no more than a single prompt. `piece_characters` is the least length of a
    piece; `rows` is the number of tokens that the model knows.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        context_tokens: int,
        piece_characters: int = PIECE_CHARACTERS,
        rows: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.context_tokens = context_tokens
        self._special = frozenset(tokenizer.all_special_ids)
        self._added = self._added_around()
        traits = traits_of(tokenizer)
        self._piece_characters = (
            piece_characters if self._added is not None and traits.cuts_exactly else None
        )
        self._longest = traits.longest_token_bytes
        highest = max(tokenizer.get_vocab().values(), default=0)
        self._unknown_from = rows if rows is not None and highest >= rows else None

    def require_bounded(self, text: str, field: str) -> None:
        """Raise TextTooLong if `text` has more bytes than a whole context of the longest tokens.

        Looks only at lengths, so it costs nothing. No text that fits is refused, but most texts
        that are too long pass.
        """
        if self._longest is None or 4 * len(text) <= self.context_tokens * self._longest:
            return
        least = -(-len(text.encode("utf-8", "replace")) // self._longest)
        if least > self.context_tokens:
            raise TextTooLong(field, least, self.context_tokens)

    def prompt(self, text: str) -> list[int]:
        """The tokens of a prompt, after a beginning-of-sequence token if the tokenizer sets one."""
        return finished(self.prompt_in_steps(GenerateRequest(text, 1), room=0))

    def prompt_in_steps(self, request: GenerateRequest, room: int = 1) -> Steps[list[int]]:
        """The prompt's tokens. Raises TextTooLong unless they leave `room` in the context."""
        limit = self.context_tokens - room
        (tokens,) = yield from self._tokens([_Text(request.prompt, limit, request.field)])
        if len(tokens) > limit:
            raise TextTooLong(request.field, len(tokens), self.context_tokens)
        return tokens or [self._stand_in()]

    def drafts_in_steps(self, request: GenerateRequest) -> Steps[list[tuple[int, ...]]]:
        """The tokens by which each of the request's drafts continues its prompt.

        The prompt's last characters and the draft are tokenized as one text. A draft that changes
        the prompt's last tokens cannot continue it and is left out. Drafts are cut, so that they
        refuse no request. Where tokens depend on more of a text than that, a draft may be wrong.
        """
        before = request.prompt[-_CHARACTERS_BEFORE_DRAFT:]
        limit = (_CHARACTERS_BEFORE_DRAFT + _DRAFT_CHARACTERS) * _MOST_TOKENS_OF_A_CHARACTER
        drafts = ("", *(draft[:_DRAFT_CHARACTERS] for draft in request.drafts))
        texts = [_Text(before + draft, limit, request.field) for draft in drafts]
        prompt, *wholes = yield from self._tokens(texts)
        start = len(prompt)
        return [tuple(whole[start:]) for whole in wholes if whole[:start] == prompt]

    def sequences(self, branches: Sequence[Branch]) -> list[TokenSequence]:
        """What `sequences_in_steps` returns."""
        return finished(self.sequences_in_steps(branches))

    def sequences_in_steps(self, branches: Sequence[Branch]) -> Steps[list[TokenSequence]]:
        """One sequence for each continuation of each branch, then one for each keyed prompt.

        Prompt and continuation are tokenized as one text, as the model has met them in training.
        The continuation starts where the tokens differ from the prompt's own. Raises TextTooLong.
        """
        # A prompt's own tokens may be a few more than those that it has with a continuation
        texts = [_Text(b.prompt, 2 * self.context_tokens, b.field) for b in branches]
        for branch in branches:
            for number, continuation in enumerate(branch.continuations):
                field = branch.field_to_shorten(number)
                texts.append(_Text(branch.prompt + continuation, self.context_tokens, field))
        tokens = yield from self._tokens(texts)
        count = len(branches)
        prompts = tokens[:count]
        wholes = zip(texts[count:], tokens[count:], strict=True)
        sequences = []
        for branch, prompt in zip(branches, prompts, strict=True):
            for _ in branch.continuations:
                text, whole = next(wholes)
                sequences.append(self._sequence(prompt, whole, text.field))
                if len(sequences) % _STEP_TEXTS == 0:
                    yield
        for branch, prompt in zip(branches, prompts, strict=True):
            if branch.keyed:
                # The token that is predicted last is never read, so any will do
                whole = [*(prompt or [self._stand_in()]), self._stand_in()]
                sequences.append(self._sequence(whole[:-1], whole, branch.field))
        return sequences

    def _sequence(self, prompt: list[int], whole: list[int], field: str) -> TokenSequence:
        start = min(common_prefix(prompt, whole), len(whole) - 1)
        if start < 1:  # nothing to predict the first token from
            whole, start = [self._stand_in(), *whole], 1
        if len(whole) > self.context_tokens:
            raise TextTooLong(field, len(whole), self.context_tokens)
        return TokenSequence(tuple(whole), start)

    def _tokens(self, texts: Sequence[_Text]) -> Steps[list[list[int]]]:
        """The tokens of each text. Stops at the first text that exceeds its limit."""
        known: dict[str, list[int]] = {}
        counts, total = [0] * len(texts), 0
        parts: list[list[list[int]]] = [[] for _ in texts]
        for step in _steps(self._pieces(texts)):
            unknown = list(dict.fromkeys(piece for _, piece in step if piece not in known))
            known.update(zip(unknown, self._encoded(unknown), strict=True))
            for number, piece in step:
                parts[number].append(known[piece])
                counts[number] += len(known[piece])
                total += len(known[piece])
                if counts[number] > texts[number].limit + len(self._special):
                    raise TextTooLong(texts[number].field, counts[number], self.context_tokens)
            if total > _REQUEST_TOKENS:
                raise RequestTooLarge(texts[step[-1][0]].field, total, _REQUEST_TOKENS)
            yield
        joined = []
        for of_text in parts:
            joined.append(self._joined(of_text))
            if len(joined) % _STEP_TEXTS == 0:
                yield
        return joined

    def _pieces(self, texts: Sequence[_Text]) -> Iterator[tuple[int, str]]:
        for number, text in enumerate(texts):
            for piece in pieces(text.text, self._piece_characters):
                yield number, piece

    def _encoded(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        # The special tokens of a text in pieces are added around the joined pieces
        whole = self._piece_characters is None
        encoded: list[list[int]] = self.tokenizer(texts, add_special_tokens=whole).input_ids
        return [self._known(ids) for ids in encoded]

    def _known(self, ids: list[int]) -> list[int]:
        """`ids` with a stand-in for the tokens that only the tokenizer knows, not the model."""
        rows = self._unknown_from
        if rows is None:
            return ids
        return [token if token < rows else self._stand_in() for token in ids]

    def _joined(self, parts: Sequence[list[int]]) -> list[int]:
        if self._piece_characters is None or self._added is None:
            return self._without_end(parts[0])
        before, after = self._added
        return self._without_end([*before, *chain.from_iterable(parts), *after])

    def _added_around(self) -> tuple[list[int], list[int]] | None:
        """The tokens that the tokenizer adds before and after a text; None if that is unclear."""
        plain, added = (
            self.tokenizer(["a"], add_special_tokens=add).input_ids[0] for add in (False, True)
        )
        for at in range(len(added) - len(plain) + 1):
            if added[at : at + len(plain)] == plain:
                return added[:at], added[at + len(plain) :]
        return None

    def _without_end(self, ids: list[int]) -> list[int]:
        """`ids` without an end token that the tokenizer appends."""
        while len(ids) > 1 and ids[-1] in self._special and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return ids

    def _stand_in(self) -> int:
        """A token to stand for an empty beginning."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, 0):
            if token is not None:
                return int(token)
        raise AssertionError("0 is a token")


def tokenizer_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, context_tokens: int
) -> Tokenizer:
    """The tokenizer of a model, which gives it no token that it does not know."""
    rows = model.get_input_embeddings().weight.shape[0]
    return Tokenizer(tokenizer, context_tokens, rows=rows)


def finished(steps: Steps[Result]) -> Result:
    """Take all `steps`, and return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def _steps(items: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Divide `items` into lists of about _STEP_CHARACTERS characters."""
    step: list[tuple[int, str]] = []
    characters = 0
    for item in items:
        step.append(item)
        characters += len(item[1])
        if characters >= _STEP_CHARACTERS or len(step) >= _STEP_TEXTS:
            yield step
            step, characters = [], 0
    if step:
        yield step
