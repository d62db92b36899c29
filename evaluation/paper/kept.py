"""What a system says before its first edit: asked once, and kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from evaluation.methods.method import TargetLogprob, first_line
from evaluation.paper.lines import Lines


class Asker(Protocol):
    """Whatever can be asked."""

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        """The probability of `target` after `prompt`."""
        ...

    def generate(self, prompt: str) -> str:
        """The greedy answer to `prompt`."""
        ...


class FirstLines:
    """A system of whose answers only the first line is read."""

    def __init__(self, system: Asker) -> None:
        self._system = system

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        """The probability of `target` after `prompt`."""
        return self._system.logprob(prompt, target)

    def generate(self, prompt: str) -> str:
        """The first line of the greedy answer; empty where there is none."""
        return first_line(self._system.generate(prompt))


class Kept:
    """The answers of a system that is not edited yet, from a file where it has them.

    A line is written for each new answer, so that nothing is lost where a run is killed. A broken
    last line is asked again.
    """

    def __init__(self, file: Path, system: Asker) -> None:
        self._lines = Lines(file)
        self._system = system
        self._answers: dict[str, str] = {}
        self._logprobs: dict[tuple[str, str], TargetLogprob] = {}
        for row in self._lines.rows():
            self._read(row)

    def _read(self, row: dict[str, Any]) -> None:
        if "answer" in row:
            self._answers[row["prompt"]] = row["answer"]
        else:
            found = TargetLogprob(tuple(row["logprobs"]), tuple(row["is_greedy"]))
            self._logprobs[row["prompt"], row["target"]] = found

    def generate(self, prompt: str) -> str:
        """The greedy answer before any edit."""
        if prompt not in self._answers:
            answer = self._system.generate(prompt)
            self._answers[prompt] = answer
            self._lines.append({"prompt": prompt, "answer": answer})
        return self._answers[prompt]

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        """The probability of `target` before any edit."""
        if (prompt, target) not in self._logprobs:
            found = self._system.logprob(prompt, target)
            self._logprobs[prompt, target] = found
            row = {"prompt": prompt, "target": target}
            self._lines.append({**row, "logprobs": found.logprobs, "is_greedy": found.is_greedy})
        return self._logprobs[prompt, target]
