"""Numbers of layers as they are written: "8", "2 11", "13-17"."""

from __future__ import annotations

from collections.abc import Iterable

Layers = tuple[int, ...]
"""Counted from 0."""


def layers_text(layers: Layers) -> str:
    """The layers in words; those that follow one another as a range."""
    if len(layers) > 1 and layers == tuple(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]}-{layers[-1]}"
    return " ".join(map(str, layers))


def parse_layers(text: str) -> Layers:
    """Read what `layers_text` writes. Raises ValueError."""
    numbers: list[int] = []
    for part in text.split():
        first, dash, last = part.partition("-")
        numbers += range(int(first), int(last if dash else first) + 1)
    if not numbers or sorted(set(numbers)) != numbers or numbers[0] < 0:
        raise ValueError(f"{text!r} are not layers such as 8, 13-17 or 2 11")
    return tuple(numbers)


def spread(published: Layers, depth: int, count: int) -> list[Layers]:
    """Candidates: the published layers, and as many in a row at `count` depths of the model.

    A method that edits all layers has no others.
    """
    width = len(published)
    starts: Iterable[int] = (round(n * (depth - width) / max(1, count - 1)) for n in range(count))
    found = [tuple(range(start, start + width)) for start in starts]
    return list(dict.fromkeys([published, *found]))
