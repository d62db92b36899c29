"""What the model said, for as long as it is likely to be asked again.

Personalize often asks what Answer has just asked. Each user's answers are kept apart and are
forgotten with the user, so that neither an answer nor its timing tells one user what another asked.
A log-probability depends on nothing but the texts, so nothing here is ever out of date. Answers are
forgotten with any edit all the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from sys import getsizeof

from server.tuning.ports import Branch, ContinuationLogprob, GenerateRequest, Key, Scores

_PROMPT_BYTES = 256
"""About what a dictionary takes, and its entry in another."""
_MOST_KEYS = 16
"""The keys of the last queries. Those of a user's facts are kept by server.tuning.recall."""
_MOST_ANSWERS, _ANSWER_CHARACTERS = 4, 4096
"""The last answers, as far as prompt and answer are not longer than that."""
_CONTINUATION_BYTES = 112
"""About what a dictionary's entry and a ContinuationLogprob take."""


class UserMemory:
    """One user's questions to the model and the answers. The oldest questions are dropped first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._prompts: OrderedDict[str, dict[str, ContinuationLogprob]] = OrderedDict()
        self._keys: OrderedDict[str, Key] = OrderedDict()
        self._answers: OrderedDict[GenerateRequest, str] = OrderedDict()
        self._revision = 0
        self.bytes = 0

    def of(self, prompt: str, continuation: str) -> ContinuationLogprob | None:
        """The answer, if it is still known."""
        return self._prompts.get(prompt, {}).get(continuation)

    def key_of(self, prompt: str) -> Key | None:
        """The prompt's key, if it is still known."""
        return self._keys.get(prompt)

    def answer_to(self, request: GenerateRequest, revision: int) -> str | None:
        """The text that was generated, if it is still known and the user edited nothing since."""
        return self._answers.get(request) if revision == self._revision else None

    def keep_answer(self, request: GenerateRequest, revision: int, answer: str) -> None:
        """Keep a whole answer at a revision. Those at other revisions are forgotten.

        What is drawn with a temperature is not kept.
        """
        if revision != self._revision:
            self._answers.clear()
            self._revision = revision
        if request.temperature or len(request.prompt) + len(answer) > _ANSWER_CHARACTERS:
            return
        self._answers[request] = answer
        self._answers.move_to_end(request)
        if len(self._answers) > _MOST_ANSWERS:
            self._answers.popitem(last=False)

    def learn(self, branches: Sequence[Branch], scores: Scores) -> None:
        """Keep the answers to `branches`."""
        for branch, row in zip(branches, scores.logprobs, strict=True):
            if not row:
                continue
            known = self._prompts.setdefault(branch.prompt, {})
            before = _bytes(branch.prompt, known) if known else 0
            known.update(zip(branch.continuations, row, strict=True))
            self._prompts.move_to_end(branch.prompt)
            self.bytes += _bytes(branch.prompt, known) - before
        for branch, key in zip(branches, scores.keys, strict=False):
            if key is not None:
                self._keys[branch.prompt] = key
        while len(self._keys) > _MOST_KEYS:
            self._keys.popitem(last=False)
        while self.bytes > self._most_bytes and self._prompts:
            prompt, known = self._prompts.popitem(last=False)
            self.bytes -= _bytes(prompt, known)


class Memories:
    """The memories of the last `users` users, each of at most `bytes_each`."""

    # There has to be room for all that one request asks ahead, or it would be asked again: 1,400
    # continuations take 260 KB.
    def __init__(self, users: int = 128, bytes_each: int = 512 << 10) -> None:
        self._most_users = users
        self._bytes_each = bytes_each
        self._users: OrderedDict[str, UserMemory] = OrderedDict()

    @property
    def bytes(self) -> int:
        """About what they take. May be asked on any thread."""
        return sum(memory.bytes for memory in list(self._users.values()))

    @property
    def users(self) -> int:
        """How many users' memories are kept."""
        return len(self._users)

    def of(self, user: str) -> UserMemory:
        """The user's memory.

        A request may still hold it after `forget`. What it then writes, nobody reads.
        """
        memory = self._users.setdefault(user, UserMemory(self._bytes_each))
        self._users.move_to_end(user)
        if len(self._users) > self._most_users:
            self._users.popitem(last=False)
        return memory

    def forget(self, user: str) -> None:
        """Drop the user's memory."""
        self._users.pop(user, None)

    def forget_all_but(self, users: Collection[str]) -> None:
        """Drop the memories of all others."""
        for user in [user for user in self._users if user not in users]:
            self.forget(user)


def _bytes(prompt: str, known: dict[str, ContinuationLogprob]) -> int:
    return (
        _PROMPT_BYTES + getsizeof(prompt) + sum(_CONTINUATION_BYTES + getsizeof(c) for c in known)
    )
