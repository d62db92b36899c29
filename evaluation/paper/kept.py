"""What a system says before its first edit: asked once, and kept in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from evaluation.methods.method import TargetLogprob, first_line


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
        self._file = file
        self._system = system
        self._answers: dict[str, str] = {}
        self._logprobs: dict[tuple[str, str], TargetLogprob] = {}
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        for line in text.split("\n"):
            self._read(line)
        self._is_cut_off = bool(text) and not text.endswith("\n")

    def _read(self, line: str) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            return  # cut off when the run was killed
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
            self._append({"prompt": prompt, "answer": answer})
        return self._answers[prompt]

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        """The probability of `target` before any edit."""
        if (prompt, target) not in self._logprobs:
            found = self._system.logprob(prompt, target)
            self._logprobs[prompt, target] = found
            row = {"prompt": prompt, "target": target}
            self._append({**row, "logprobs": found.logprobs, "is_greedy": found.is_greedy})
        return self._logprobs[prompt, target]

    def _append(self, row: dict[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}" if self._is_cut_off else line)
        self._is_cut_off = False
