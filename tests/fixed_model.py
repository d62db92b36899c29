"""A language model whose probabilities are all known.

It reads the templates as a careful reader would. `FixedModel({"What does a dog enjoy?":
"likes"})` knows which relation each query needs. It finds that relation's phrase in the retrieval
template, answers from the first fact that has it, and extracts it first. Its numbers are constants,
so that tests can work out results by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import numpy as np

from server.errors import DeadlinePassed, TextTooLong
from server.graph.relation import Vocabulary
from server.tuning.deadline import call_deadline
from server.tuning.ports import (
    Branch,
    ContinuationLogprob,
    GenerateRequest,
    Key,
    ModelCost,
    Piece,
    Scores,
)
from server.tuning.templates import (
    EXTRACTION,
    LEARNING,
    NO_FACTS,
    REASONING,
    RETRIEVAL,
    ROOT,
    root_prompt,
)

RIGHT, OTHER = 0.8, 0.05
"""p(r) of the relation that a query needs, and of any other."""
TOLD, HINTED, GUESSED = 0.9, 0.4, 0.02
"""P(a|q,z) of what the deciding fact says, of what another fact says, and of anything else."""
CONTEXT_TOKENS = 400

_EXTRAS = ("is usually", "has a", "is able to", "is located in", "is a kind of")


def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(template)
    for slot in ("query", "subject", "facts", "answer", "object", "k", "context", "message"):
        escaped = escaped.replace(re.escape("{" + slot + "}"), f"(?P<{slot}>.*)")
    return re.compile(escaped, re.DOTALL)


_RETRIEVAL, _REASONING, _EXTRACTION = (_pattern(t) for t in (RETRIEVAL, REASONING, EXTRACTION))
_ROOT, _LEARNING = _pattern(ROOT), _pattern(LEARNING)
_ASKING = frozenset([
    "a", "an", "and", "are", "as", "at", "can", "do", "does", "eat", "enjoy", "for", "from", "have",
    "how", "i", "in", "is", "it", "like", "likes", "live", "lives", "me", "my", "of", "on", "or",
    "our", "tell", "the", "their", "to", "we", "what", "when", "where", "which", "who", "why",
    "with", "you", "your",
])  # fmt: skip
"""The words of a query that its key does not depend on."""


def _vector(words: Iterable[str]) -> Key:
    """The mean of the words' own directions, of length 1."""
    total = np.zeros(256, dtype=np.float32)
    for word in words:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        total += _unit(np.random.default_rng(seed).standard_normal(256).astype(np.float32))
    return _unit(total)


def _unit(vector: Key) -> Key:
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


class FixedModel:
    """A LanguageModel with known answers. `scored` and `generated` are what it was asked."""

    fingerprint = "fixed"
    adapter_fingerprint = ""
    max_scored_triples = 64
    key_fingerprint = "fixed"
    floor = 0.75

    def __init__(
        self,
        phrases: Mapping[str, str],
        *,
        says: Mapping[str, str] | None = None,
        keys: Mapping[str, Key] | None = None,
        sure: float = 0.75,
        hinted: float = HINTED,
    ) -> None:
        """`phrases`: the relation phrase that each query needs. `says`: what to generate for a
        prompt, whatever it says. `keys`: the keys of texts, whatever they say."""
        self.phrases = dict(phrases)
        self.says = dict(says or {})
        self.keys = dict(keys or {})
        self.sure = sure
        self._hinted = hinted
        self.scored: list[Branch] = []
        self.generated: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def score(self, branches: Sequence[Branch]) -> Scores:
        texts = [
            (b.prompt + c, b.field_to_shorten(n))
            for b in branches
            for n, c in enumerate(b.continuations)
        ]
        texts += [(b.prompt, b.field) for b in branches if b.keyed]
        await self._begin(texts)
        self.scored.extend(branches)
        rows = tuple(map(self._row, branches))
        keys = tuple(self.key(b.prompt) if b.keyed else None for b in branches)
        return Scores(rows, ModelCost(1, sum(len(b.prompt.split()) for b in branches)), keys)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        await self._begin([(request.prompt, request.field)])
        self.generated.append(request.prompt)
        words = self._continuation(request.prompt).split(" ")[: request.max_tokens]
        for number, word in enumerate(words):
            yield Piece(
                f" {word}", ModelCost(1, len(request.prompt.split()) if number == 0 else 1, 1)
            )

    def close(self) -> None:
        pass

    def key_prompt(self, query: str) -> str:
        return root_prompt(query)

    def key(self, prompt: str) -> Key:
        """Near for texts with the same relation phrase and the same other content words."""
        found = _ROOT.fullmatch(prompt)
        text = found["query"] if found else prompt
        if text in self.keys:
            return self.keys[text]
        known = [*self.phrases.values(), *(r.phrase for r in Vocabulary.built_in())]
        phrase = self.phrases.get(text) or next((p for p in known if f" {p} " in f" {text} "), "")
        words = re.findall(r"\w+", text.replace(phrase, "").casefold())
        content = _vector(word for word in words if word not in _ASKING)
        return _unit(0.8 * _vector([phrase]) + 0.6 * content)

    def _row(self, branch: Branch) -> tuple[ContinuationLogprob, ...]:
        return tuple(self._logprob(branch.prompt, text) for text in branch.continuations)

    async def _begin(self, texts: Sequence[tuple[str, str]]) -> None:
        """Wait for the gate, and refuse what comes too late or is too long.

        `texts` come with the fields to shorten.
        """
        deadline = call_deadline.get()
        await self.gate.wait()
        if deadline is not None and time.monotonic() >= deadline:
            raise DeadlinePassed(
                "the deadline passed before the model was asked", retry_after_s=None
            )
        for text, field in texts:
            if (words := len(text.split())) > CONTEXT_TOKENS:
                raise TextTooLong(field, words, CONTEXT_TOKENS)

    def _logprob(self, prompt: str, continuation: str) -> ContinuationLogprob:
        """The constant's logarithm for each word, so that exp of the mean is the constant."""
        words = len(continuation.split())
        return ContinuationLogprob(
            math.log(self._probability(prompt, continuation.strip())) * words, words
        )

    def _probability(self, prompt: str, continuation: str) -> float:
        if found := _RETRIEVAL.fullmatch(prompt):
            return RIGHT if continuation == self.phrases.get(found["query"]) else OTHER
        if found := _REASONING.fullmatch(prompt):
            told, hinted = self._read(found["query"], found["facts"])
            if continuation == told:
                return TOLD
            return self._hinted if continuation in hinted else GUESSED
        if found := _EXTRACTION.fullmatch(prompt):
            return RIGHT if continuation == self.phrases.get(found["query"]) else OTHER
        return GUESSED

    def _continuation(self, prompt: str) -> str:
        if prompt in self.says:
            return self.says[prompt]
        if found := _REASONING.fullmatch(prompt):
            told, hinted = self._read(found["query"], found["facts"])
            return told or (hinted[0] if hinted else "nothing")
        if found := _EXTRACTION.fullmatch(prompt):
            phrases = [self.phrases.get(found["query"], "is related to"), *_EXTRAS]
            return " <sep> ".join(list(dict.fromkeys(phrases))[: int(found["k"])])
        if found := _LEARNING.match(prompt):
            return self._facts(found["message"])
        return "nobody knows"

    def _facts(self, message: str) -> str:
        """The fact of a message that has one of the known phrases and is no question."""
        for phrase in self.phrases.values():
            head, found, tail = message.strip(" .").partition(f" {phrase} ")
            if found and "?" not in message:
                return f"+ {head} | {phrase} | {tail}"
        return NO_FACTS

    def _read(self, query: str, facts: str) -> tuple[str | None, list[str]]:
        """(what the first fact with the right phrase says, what the others say)."""
        phrase = self.phrases.get(query)
        told: str | None = None
        hinted = []
        for fact in facts.split("; "):
            before, found, tail = fact.partition(f" {phrase} ")
            if found and told is None:
                told = tail
            else:
                hinted.append(tail or before.rsplit(" ", 1)[-1])
        return told, hinted
