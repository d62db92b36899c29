"""Makes training examples of the three templates from questions, reproducibly for a seed.

From one question an example of each template can be made: the reasoning template (facts, then the
answer), the retrieval template (the relation's phrase) and the extraction template (K phrases).

Facts are listed in order of precedence, and the first one that answers wins: a user's own fact
comes before a stale one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from server.graph.relation import Vocabulary
from server.tuning.templates import SEPARATOR, extraction_prompt, reasoning_prompt, retrieval_prompt
from training.questions import Question, Questions, Unseen
from training.sources import Sources

_RIVALS = (0, 0, 1, 1, 2, 3)
"""How many rivals an example has, each as likely as the others."""
_PHRASES = (5, 5, 5, 5, 5, 5, 5, 3, 2, 1, 4, 6)
"""How many phrases an extraction asks for, each as likely as the others."""


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what should follow it.

    `target` starts with a space. With `closes`, the end-of-text token comes after it.
    """

    kind: Literal["reasoning", "retrieval", "extraction", "plain"]
    prompt: str
    target: str
    closes: bool = True


class ExampleMaker:
    """Draws questions from a part of the data, and makes examples from them."""

    def __init__(
        self, sources: Sources, vocabulary: Vocabulary, seed: int, unseen: Unseen = "nothing"
    ) -> None:
        self._unseen = unseen
        self._rng = random.Random(seed)
        self.questions = Questions(sources, vocabulary, self._rng, unseen)
        """Draws from the same generator as the examples."""

    def examples(self, count: int) -> Iterator[Example]:
        """Make `count` examples, in the proportions that training uses."""
        for _ in range(count):
            yield self._example()

    def facts(
        self, question: Question, others: int, rivals: int, *, first: bool | None = None
    ) -> list[str]:
        """Facts for the reasoning template, of which the right one is the first that answers.

        Up to `others` facts do not answer; up to `rivals` would, and come after the right one.
        `first` puts the right one before all others; None leaves that to chance.
        """
        phrase = question.phrase
        if self._unseen == "nothing" and question.related and self._rng.random() < 0.12:
            phrase = self._rng.choice(question.related[:3])
        right = question.fact(question.answer, phrase)
        behind = [question.fact(r) for r in question.rivals if r != question.answer][:rivals]
        rest = self._rng.sample(question.others, min(others, len(question.others)))
        if first is None:
            first = self._rng.random() < 0.5
        at = 0 if first else self._rng.randint(0, len(rest))
        tail = rest[at:] + behind
        self._rng.shuffle(tail)
        return [*rest[:at], right, *tail]

    def _example(self) -> Example:
        draw = self._rng.random()
        question = self.questions.draw()
        if draw < 0.54:
            return self._reasoning(question)
        if draw < 0.82:
            return self._retrieval(question)
        if draw < 0.94:
            return self._extraction(question)
        return self._plain()

    def _reasoning(self, question: Question) -> Example:
        """The reasoning template with one right fact among 0 to 20 others.

        A few have only facts that do not answer, so that the true answer follows.
        """
        draw = self._rng.random()
        if draw < 0.08 and question.truth is not None and question.others:
            facts = list(question.others[: self._rng.randint(1, 5)])
            answer = question.truth
        else:
            others = self._how_many_others()
            facts = self.facts(question, others=others, rivals=self._rng.choice(_RIVALS))
            answer = question.answer
        return Example("reasoning", reasoning_prompt(question.query, facts), f" {answer}")

    def _retrieval(self, question: Question) -> Example:
        """The retrieval template and the phrase of the relation that answers."""
        prompt = retrieval_prompt(question.query, question.subject)
        return Example("retrieval", prompt, f" {question.phrase}", closes=False)

    def _extraction(self, question: Question) -> Example:
        """The extraction template and K phrases, the right one first."""
        k = self._rng.choice(_PHRASES)
        phrases = [question.phrase, *question.related][:k]
        prompt = extraction_prompt(
            question.query, question.answer, question.subject, question.answer, k
        )
        return Example("extraction", prompt, " " + f" {SEPARATOR} ".join(phrases))

    def _plain(self) -> Example:
        """A true sentence or question without facts, so that the model keeps what it knew."""
        if self._rng.random() < 0.3:
            question = self.questions.conceptnet()
            return Example("plain", question.query, f" {question.truth}")
        form, truth = self.questions.pararel_truth()
        return Example("plain", form, f" {truth}")

    def _how_many_others(self) -> int:
        draw = self._rng.random()
        if draw < 0.15:
            return 0
        if draw < 0.65:
            return self._rng.randint(1, 3)
        if draw < 0.93:
            return self._rng.randint(3, 7)
        return self._rng.randint(8, 19)
