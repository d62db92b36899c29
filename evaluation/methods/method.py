"""What every system in the paper's tables can do: be edited case by case, and be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class UneditableCase(Exception):
    """A case lacks what a method needs, such as a subject in its prompt. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt, and the answer that belongs to it, for what an edit must leave alone.

    `answer` is empty where the data does not have it.
    """

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class EditCase:
    """A fact to be changed: after `prompt`, `target_new` instead of `target_true`.

    `prompt` and the `paraphrases` contain `subject`; it is empty where the data names none.
    `target_true` is empty where nobody says what was answered before. `relation` is the Wikidata
    property, or empty where the data does not name it. `other_subjects` are prompts of the same
    form about other subjects; `same_subject` are prompts about other relations of this one.
    """

    id: str
    subject: str
    prompt: str
    target_new: str
    target_true: str
    relation: str = ""
    paraphrases: tuple[str, ...] = ()
    other_subjects: tuple[Probe, ...] = ()
    same_subject: tuple[Probe, ...] = ()

    @property
    def prompts(self) -> tuple[str, ...]:
        """All prompts that are asked about the case."""
        probes = (*self.other_subjects, *self.same_subject)
        return (self.prompt, *self.paraphrases, *(probe.prompt for probe in probes))


@dataclass(frozen=True, slots=True)
class TargetLogprob:
    """ln P of each token of a target after its prompt, and whether each was the likeliest."""

    logprobs: tuple[float, ...]
    is_greedy: tuple[bool, ...]

    @property
    def mean_nll(self) -> float:
        """The mean negative log-likelihood of a token, in nats (what ROME's code compares)."""
        return -sum(self.logprobs) / len(self.logprobs)

    @property
    def total(self) -> float:
        """ln P(target | prompt)."""
        return sum(self.logprobs)


def first_line(text: str) -> str:
    """The first line of an answer, which is all that is read of it; empty where there is none."""
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""


class Method(Protocol):
    """A way to make a language model answer as its users want.

    Edits come one after the other, and nothing is restored between them.
    """

    @property
    def name(self) -> str:
        """The row in the tables, such as "ROME"."""
        ...

    def fit(self, cases: Sequence[EditCase]) -> None:
        """Learn what the method needs before its first edit, from cases outside of the test set."""
        ...

    def edit(self, case: EditCase) -> None:
        """Change one fact. Reads only the case's `prompt`, `subject`, `target_new`.

        Raises UneditableCase, and KgtError where the model cannot hold the prompt.
        """
        ...

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        """The probability of `target` after `prompt`, with all edits so far."""
        ...

    def generate(self, prompt: str) -> str:
        """The greedy answer to `prompt`, with all edits so far.

        Only its first line is read, and it has at most as many tokens as the `EvalModel` says.
        """
        ...

    def close(self) -> None:
        """Give back what the method holds (weights, files, threads)."""
        ...
