"""Keys by their texts, as one matrix, and the form in which a key is kept with an edit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from server.tuning.ports import Key

_DECIMALS = 6
"""Inner products are rounded to these, so that the hardware's rounding decides nothing."""
_LEAST_ROOM = 16


class KeyRows:
    """The keys of texts. Comparing another key with all of them is one product."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        self._texts: list[str] = []
        self._room: Key = np.zeros((0, 0), np.float32)  # (rows and free ones, width)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, text: str) -> bool:
        return text in self._row

    @property
    def width(self) -> int:
        """How many numbers a key has; 0 as long as there is none."""
        return int(self._room.shape[1])

    @property
    def bytes(self) -> int:
        """What the matrix takes in memory."""
        return self._room.nbytes

    def add(self, texts: Sequence[str], rows: Key) -> None:
        """The keys of texts that have none yet, one row each: (texts, width)."""
        count, wanted = len(self._texts), len(self._texts) + len(texts)
        if wanted > len(self._room):
            room = np.zeros((max(wanted, 2 * count, _LEAST_ROOM), rows.shape[1]), np.float32)
            if count:
                room[:count] = self._room[:count]
            self._room = room
        self._room[count:wanted] = rows
        self._row.update((text, count + n) for n, text in enumerate(texts))
        self._texts += texts

    def only(self, texts: Collection[str]) -> KeyRows:
        """A copy with the keys of these texts, as far as they are known."""
        chosen = KeyRows()
        kept = [text for text in self._texts if text in texts]
        if kept:
            chosen.add(kept, self._room[[self._row[text] for text in kept]])
        return chosen

    def near(self, key: Key, floor: float) -> Iterator[tuple[str, float]]:
        """The texts whose key's inner product with `key` is at least `floor`, the nearest first."""
        if not self._texts:
            return
        products = np.round(self._room[: len(self._texts)] @ key, _DECIMALS)  # (texts,)
        near = np.flatnonzero(products >= floor)
        for row in near[np.argsort(-products[near], kind="stable")]:
            yield self._texts[row], float(products[row])


def packed(key: Key) -> bytes:
    """A key as it is kept with an edit: float16, the least byte first."""
    return key.astype("<f2").tobytes()


def unpacked(stored: Mapping[str, bytes]) -> tuple[list[str], Key]:
    """Keys that were kept with edits, by their texts, of length 1 again: (texts, width).

    What is not a key is left out: it has another width than most, or no length.
    """
    [(size, _)] = Counter(map(len, stored.values())).most_common(1)
    texts = [text for text, key in stored.items() if len(key) == size]
    numbers = np.frombuffer(b"".join(stored[text] for text in texts), dtype="<f2")
    rows = numbers.astype(np.float32).reshape(len(texts), -1)
    lengths = np.linalg.norm(rows, axis=1)
    usable = np.flatnonzero(np.isfinite(lengths) & (lengths > 0))
    unit: Key = rows[usable] / lengths[usable, None]
    return [texts[row] for row in usable], unit
