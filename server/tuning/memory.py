"""What the model said, for as long as it is likely to be asked again: after Answer, Personalize
asks the same question.

Kept for each user alone and forgotten with the user: neither an answer nor its timing tells one
user what another asked. A log-probability depends on the texts alone, so nothing here is ever out
of date.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from sys import getsizeof

from server.tuning.ports import Branch, ContinuationLogprob, Scores

_PROMPT_BYTES = 256
"""A dictionary and its entry in another, about."""
_CONTINUATION_BYTES = 112
"""A dictionary's entry and a ContinuationLogprob, about."""


class UserMemory:
    """One user's questions to the model and their answers, the least lately asked forgotten first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._prompts: OrderedDict[str, dict[str, ContinuationLogprob]] = OrderedDict()
        self.bytes = 0

    def of(self, prompt: str, continuation: str) -> ContinuationLogprob | None:
        return self._prompts.get(prompt, {}).get(continuation)

    def learn(self, branches: Sequence[Branch], scores: Scores) -> None:
        """Keep the answers to `branches`."""
        for branch, row in zip(branches, scores.logprobs, strict=True):
            known = self._prompts.setdefault(branch.prompt, {})
            before = _bytes(branch.prompt, known) if known else 0
            known.update(zip(branch.continuations, row, strict=True))
            self._prompts.move_to_end(branch.prompt)
            self.bytes += _bytes(branch.prompt, known) - before
        while self.bytes > self._most_bytes and self._prompts:
            prompt, known = self._prompts.popitem(last=False)
            self.bytes -= _bytes(prompt, known)


class Memories:
    """The memories of the last `users` users, `bytes_each` at most."""

    # All that one request asks ahead must find room, or it would be asked again: 1,400
    # continuations take 260 KB.
    def __init__(self, users: int = 128, bytes_each: int = 512 << 10) -> None:
        self._most_users = users
        self._bytes_each = bytes_each
        self._users: OrderedDict[str, UserMemory] = OrderedDict()

    def of(self, user: str) -> UserMemory:
        """The user's memory. A request that still holds it after `forget` writes into what nobody
        finds again."""
        memory = self._users.setdefault(user, UserMemory(self._bytes_each))
        self._users.move_to_end(user)
        if len(self._users) > self._most_users:
            self._users.popitem(last=False)
        return memory

    def forget(self, user: str) -> None:
        """Drop what is kept of `user`."""
        self._users.pop(user, None)


def _bytes(prompt: str, known: dict[str, ContinuationLogprob]) -> int:
    return (
        _PROMPT_BYTES + getsizeof(prompt) + sum(_CONTINUATION_BYTES + getsizeof(c) for c in known)
    )
