"""Makes training examples of the templates from questions, reproducibly for a seed.

From one question an example of each template can be made: the reasoning template (facts, then the
answer), the retrieval template (the relation's phrase), its root (the subject) and the extraction
template (K phrases). The learning template's examples come from sentences.

Facts are listed in order of precedence, and the first one that answers wins: a user's own fact
comes before a stale one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from server.graph.relation import Vocabulary
from server.tuning.templates import (
    NO_FACTS,
    SEPARATOR,
    extraction_prompt,
    learning_prompt,
    reasoning_prompt,
    retrieval_prompt,
    root_prompt,
)
from training.alike import Alike
from training.kinds import filled, filled_head
from training.messages import Message, read_messages
from training.parts import Unseen
from training.question import Question
from training.questions import Questions
from training.sources import Sources
from training.wordings import restyled

_RIVALS = (0, 0, 1, 1, 2, 3)
"""How many rivals an example has, each as likely as the others."""
_PHRASES = (5, 5, 5, 5, 5, 5, 5, 3, 2, 1, 4, 6)
"""How many phrases an extraction asks for, each as likely as the others."""


ALIKE = "Do both ask for the same fact? <query>: {query} <query>: {taught} <same>:"
"""The service does not ask this: docs/decisions/0016-scope-keys.md."""


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what should follow it.

    `target` starts with a space. With `closes`, the end-of-text token comes after it.
    """

    kind: Literal["reasoning", "retrieval", "extraction", "subject", "learning", "alike", "plain"]
    prompt: str
    target: str
    closes: bool = True
    answered_plainly: str = ""
    """The query without facts, if the target is to be what the model says to it."""


class ExampleMaker:
    """Draws questions from a part of the data, and makes examples from them."""

    def __init__(
        self, sources: Sources, vocabulary: Vocabulary, seed: int, unseen: Unseen = "nothing"
    ) -> None:
        self._unseen = unseen
        self._rng = random.Random(seed)
        self.questions = Questions(sources, vocabulary, self._rng, unseen)
        """Draws from the same generator as the examples."""
        self._messages = read_messages()
        self._alike = Alike(sources, vocabulary, seed)
        draw = self.questions.draw
        self._made: list[tuple[int, Callable[[], Example]]] = [
            (33, self._asks_for),
            (8, self._learning),
            (3, self._plain),
            (3, self._several),
            (12, self._confirming),
            (19, lambda: self._reasoning(draw())),
            (5, lambda: self._declining(draw())),
            (9, lambda: self._retrieval(draw())),
            (2, lambda: self._subject(draw())),
            (6, lambda: self._extraction(draw())),
        ]
        """How many of 100 examples are made in which way."""

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
        (make,) = self._rng.choices([make for _, make in self._made], [n for n, _ in self._made])
        return make()

    def _reasoning(self, question: Question) -> Example:
        """The reasoning template with one right fact among 0 to 20 others."""
        others = self._how_many_others()
        facts = self.facts(question, others=others, rivals=self._rng.choice(_RIVALS))
        return Example("reasoning", reasoning_prompt(question.query, facts), f" {question.answer}")

    def _declining(self, question: Question) -> Example:
        """The reasoning template with facts none of which answers.

        The true answer follows where it is known, else what the model says without the facts.
        """
        facts = list(question.others)
        self._rng.shuffle(facts)
        facts = facts[: self._rng.randint(1, 4)]
        if not facts:
            return self._reasoning(question)
        prompt = reasoning_prompt(question.query, facts)
        if question.truth is not None and self._rng.random() < 0.4:
            return Example("reasoning", prompt, f" {question.truth}")
        return Example("reasoning", prompt, "", answered_plainly=question.query)

    def _confirming(self) -> Example:
        """The reasoning template with the fact of one kind: does it answer?

        It does for the kind's own wordings, and not for its near misses. Mostly it stands alone, as
        in P(a|q,z).
        """
        near = self.questions.of_kinds.near_or_own()
        facts = [near.fact]
        if self._rng.random() < 0.3:
            facts += near.others[: self._rng.randint(1, 3)]
            self._rng.shuffle(facts)
        prompt = reasoning_prompt(restyled(near.query, self._rng), facts)
        if near.answer is not None:
            return Example("reasoning", prompt, f" {near.answer}")
        return Example("reasoning", prompt, "", answered_plainly=near.query)

    def _asks_for(self) -> Example:
        """Whether a query asks for what another text taught."""
        pair = self._alike.pair()
        prompt = ALIKE.format(query=pair.query, taught=pair.taught)
        return Example("alike", prompt, " yes" if pair.same else " no", closes=False)

    def _several(self) -> Example:
        """The reasoning template with several facts that all answer: all of them are named."""
        kind, subject, values = self.questions.of_kinds.several()
        head = filled_head(kind, subject)
        facts = [f"{head} {kind.relation} {value}" for value in values]
        facts += self.questions.of_kinds.others_of(kind, subject)[: self._rng.choice((0, 0, 1, 2))]
        query = filled(self._rng.choice(kind.asked), subject)
        return Example("reasoning", reasoning_prompt(query, facts), f" {listed(values)}")

    def _retrieval(self, question: Question) -> Example:
        """The retrieval template and the phrase of the relation that answers."""
        prompt = retrieval_prompt(question.query, question.subject)
        return Example("retrieval", prompt, f" {question.phrase}", closes=False)

    def _subject(self, question: Question) -> Example:
        """The root of the retrieval template and the subject."""
        subject = question.said or question.subject
        return Example("subject", root_prompt(question.query), f" {subject}", closes=False)

    def _extraction(self, question: Question) -> Example:
        """The extraction template and K phrases, the right one first."""
        k = self._rng.choice(_PHRASES)
        phrases = [question.phrase, *question.related][:k]
        prompt = extraction_prompt(
            question.query, question.answer, question.subject, question.answer, k
        )
        return Example("extraction", prompt, " " + f" {SEPARATOR} ".join(phrases))

    def _learning(self) -> Example:
        """The learning template and the facts of a message."""
        return learning_example(self._message())

    def _message(self) -> Message:
        """A message that was written as one, or one to three sentences that state facts."""
        if self._rng.random() < 0.35:
            return self._rng.choice(self._messages)
        sentences, facts = [], []
        for _ in range(self._rng.choice((1, 1, 1, 2, 2, 3))):
            kind, subject = self.questions.of_kinds.stated()
            answer = self._rng.choice(kind.answers)
            sentence = self._rng.choice(kind.statements).replace("{a}", answer)
            sentences.append(filled(sentence, subject))
            facts.append(f"+ {filled_head(kind, subject)} | {kind.relation} | {answer}")
        return Message(" ".join(sentences), tuple(facts))

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


def learning_example(message: Message) -> Example:
    """The learning template of a message, and its facts."""
    facts = f" {SEPARATOR} ".join(message.facts) or NO_FACTS
    return Example("learning", learning_prompt(message.text, message.context), f" {facts}")


def listed(values: Sequence[str]) -> str:
    """The values as people list them: "Noor, Emil and Tove"."""
    *first, last = values
    return f"{', '.join(first)} and {last}" if first else last
