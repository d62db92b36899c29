"""Reads JSON lines into cases, and says which lines are no cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.corrections.cases import DEVELOPMENT, UNSEEN, Case
from training.sources import in_unseen_half, present


class MalformedLine(Exception):
    """A line is not what its set's lines are."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The cases of a set, and what else its file has.

    `malformed` lines are described in words. `left_out` counts lines that ask nothing, such as
    duplicates.
    """

    cases: tuple[Case, ...]
    malformed: tuple[str, ...] = ()
    left_out: int = 0


class Row:
    """The fields of one line, checked as they are read. Raises MalformedLine."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise MalformedLine("not a JSON object")
        self._fields: dict[str, Any] = fields

    @staticmethod
    def parse(line: str) -> Row:
        """Parse a line."""
        try:
            return Row(json.loads(line))
        except ValueError as error:
            raise MalformedLine("not JSON") from error

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def row(self, name: str) -> Row:
        """An object inside the line."""
        return Row(self._fields.get(name))

    def text(self, name: str) -> str:
        """A text that is not empty; a number is taken as it is written."""
        value = self._fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return _text(value, name)

    def text_or_none(self, name: str) -> str | None:
        """A text, or None where the field is null or missing."""
        return None if self._fields.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(_text(value, name) for value in self._list(name))

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """A list of queries with their answers."""
        return tuple(_pair(value, name) for value in self._list(name))

    def _list(self, name: str) -> list[Any]:
        values = self._fields.get(name)
        if not isinstance(values, list):
            raise MalformedLine(f"{name} is not a list")
        return values


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise MalformedLine(f"{name} is not a text")
    return value


def _pair(value: Any, name: str) -> tuple[str, str]:
    if not isinstance(value, Mapping):
        raise MalformedLine(f"{name} holds something that is not an object")
    return _text(value.get("query"), f"{name}.query"), _text(value.get("answer"), f"{name}.answer")


def read_lines(path: Path, origin: str, parse: Callable[[Row], Case | None]) -> Reading:
    """Read a file in which each line, or each element of one JSON array, is a case.

    `parse` returns None for a line to leave out. Raises DataMissing, which names `origin`.
    """
    cases: list[Case] = []
    malformed: list[str] = []
    left_out = 0
    for number, line in enumerate(json_lines(present(path, origin)), 1):
        if not line.strip():
            continue
        try:
            case = parse(Row.parse(line))
        except MalformedLine as problem:
            malformed.append(f"{path.name}:{number}: {problem}")
            continue
        if case is None:
            left_out += 1
        else:
            cases.append(case)
    return Reading(tuple(cases), tuple(malformed), left_out)


def json_lines(path: Path) -> list[str]:
    """The lines of a file, or the elements of a JSON array."""
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        return [json.dumps(element) for element in json.loads(text)]
    return text.split("\n")  # splitlines would also split at signs that JSON leaves as they are


def in_halves(reading: Reading) -> Reading:
    """The cases, each in the half that the hash of its subject puts it in."""
    return replace(reading, cases=tuple(map(_in_its_half, reading.cases)))


def _in_its_half(case: Case) -> Case:
    return replace(case, half=UNSEEN if in_unseen_half(case.subject) else DEVELOPMENT)
