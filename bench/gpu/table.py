"""The figures of bench.gpu as a table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

Line = Mapping[str, Any]
"""The figures of one model."""


def table(lines: Sequence[Line]) -> str:
    """A column for each model, and a row for each figure that any of them has."""
    columns = [dict(_rows(line)) for line in lines]
    titles = dict.fromkeys(chain.from_iterable(columns))
    rows = [["", *(line["model"] for line in lines)], ["---"] * (len(lines) + 1)]
    rows += [_row(title, columns) for title in titles]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in rows)


def _row(title: str, columns: Sequence[Mapping[str, str]]) -> list[str]:
    return [title, *(column.get(title, "-") for column in columns)]


def _rows(line: Line) -> Iterator[tuple[str, str]]:
    """(what it is, the figures) for each row of a model."""
    for found in line.get("personalize", ()):
        name = f"Personalize, {line['n']} triples, relations {found['relations']}"
        yield f"{name}: p50, p99 ms", f"{found['p50_ms']:,}, {found['p99_ms']:,}"
        counts = ("forward_passes", "tokens_read", "tokens_generated")
        yield f"{name}: passes, tokens read, generated", ", ".join(f"{found[c]:g}" for c in counts)
        yield from _memory(name, found)
    for found in line.get("answers", ()):
        name = f"Answers, {found['streams']} at once"
        figures = (found["answers_per_second"], found["p50_ms"], found["p99_ms"])
        yield f"{name}: a second, p50, p99 ms", ", ".join(f"{figure:,}" for figure in figures)
        yield from _memory(name, found)
    if "passes" in line:
        yield from _passes(line["passes"])
    if "scoring" in line:
        for name, seconds in line["scoring"]["seconds"].items():
            yield f"scoring {line['n']} triples, {name}: ms", f"{seconds * 1000:,.1f}"
    if "held_over_weights" in line:
        yield "memory that torch held at most, over the weights", f"{line['held_over_weights']}x"


def _passes(found: Line) -> Iterator[tuple[str, str]]:
    scoring = found["scoring"]
    name = f"pass of about {scoring['tokens']:,} tokens"
    yield f"{name}: launched, done ms", _took(scoring["same_shape"])
    yield f"{name}, its shape new: launched, done ms", _took(scoring["new_shape"])
    for step in found["steps"]:
        yield f"step, {step['streams']} streams: launched, done ms", _took(step)
    yield "reading all weights once: ms", f"{found['weights_read_ms']:,}"


def _memory(name: str, found: Line) -> Iterator[tuple[str, str]]:
    if "peak_over_weights" in found:
        yield f"{name}: memory over the weights", f"{found['peak_over_weights']}x"


def _took(found: Line) -> str:
    return f"{found['launched_ms']:,}, {found['done_ms']:,}"
