"""Texts to tokens, as prompts and continuations."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from server.errors import TextTooLong
from server.lm.packing import TokenSequence
from server.tuning.ports import Branch


class Tokenizer:
    """A model's tokenizer, within the model's context."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.context_tokens = context_tokens
        self._special = frozenset(tokenizer.all_special_ids)

    def prompt(self, text: str) -> list[int]:
        """The tokens of a prompt, with the tokenizer's own beginning-of-sequence token where it sets one."""
        return self._tokens([text])[0] or [self._stand_in()]

    def sequences(self, branches: Sequence[Branch]) -> list[TokenSequence]:
        """One sequence for each continuation of each branch, in order. Raises TextTooLong.

        Prompt and continuation are tokenized as one text, as the model would have met them, and cut where the tokens
        part from the prompt's own.
        """
        prompts = self._tokens([b.prompt for b in branches])
        wholes = iter(self._tokens([b.prompt + c for b in branches for c in b.continuations]))
        sequences = []
        for branch, prompt in zip(branches, prompts, strict=True):
            for _ in branch.continuations:
                whole = next(wholes)
                start = _common_prefix(prompt, whole)
                start = min(start, len(whole) - 1)
                if start < 1:  # nothing to predict the first token from
                    whole, start = [self._stand_in(), *whole], 1
                if len(whole) > self.context_tokens:
                    raise TextTooLong("query", len(whole), self.context_tokens)
                sequences.append(TokenSequence(tuple(whole), start))
        return sequences

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded: list[list[int]] = self.tokenizer(texts, add_special_tokens=True).input_ids
        return [self._without_end(ids) for ids in encoded]

    def _without_end(self, ids: list[int]) -> list[int]:
        """`ids` without an end token that the tokenizer appends."""
        while len(ids) > 1 and ids[-1] in self._special and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return ids

    def _stand_in(self) -> int:
        """A token for an empty beginning."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, 0):
            if token is not None:
                return int(token)
        raise AssertionError("0 is a token")


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
