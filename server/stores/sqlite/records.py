"""Rows as the bytes of SQLite's records, whole columns at a time.

A record is a header, which says how each value is stored, and the values: sqlite.org, "Database
File Format", section 2.1. Its numbers take as few bytes as they need, so rows differ in length.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_INTEGER_BYTES = np.array([0, 1, 2, 3, 4, 6, 8])
"""By serial type."""
_FLOAT, _ZERO, _ONE, _TEXT = 7, 8, 9, 13
"""Serial types. A text of n bytes has the type 13 + 2 n."""
_LARGEST = [(1 << 8 * int(count) - 1) - 1 for count in _INTEGER_BYTES[1:-1]]
"""The largest integer of each serial type from 1 to 5."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Byte strings without gaps: `data` (bytes of all,), `lengths` (strings,)."""

    data: Bytes
    lengths: Ints


class Value(ABC):
    """A column of a record: how its values are stored, and their bytes."""

    def __init__(self, types: Ints, lengths: Ints) -> None:
        self.types, self.lengths = types, lengths

    @abstractmethod
    def write(self, row: _Row) -> None:
        """Add the bytes of all values behind those that `row` has."""


class Integers(Value):
    """A column of integers (rows,)."""

    def __init__(self, values: Ints) -> None:
        self._values = values
        magnitudes = values ^ (values >> 63)
        types = np.ones(len(values), np.int64)
        for largest in _LARGEST:
            longer = magnitudes > largest
            if not longer.any():
                break
            types += longer
        lengths = _INTEGER_BYTES[types]
        small = (values == 0) | (values == 1)  # they stand in the type itself
        super().__init__(np.where(small, _ZERO + values, types), np.where(small, 0, lengths))

    def write(self, row: _Row) -> None:
        row.add_integers(self._values, self.lengths)


class Reals(Value):
    """A column of finite floats (rows,). SQLite stores those that are whole as integers."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        whole = (values == np.floor(values)) & (np.abs(values) < _LARGEST[-1])
        self._bits = np.where(whole, 0, values).view(np.int64)
        self._whole = Integers(np.where(whole, values, 0).astype(np.int64))
        self._float_lengths = np.where(whole, 0, 8)
        super().__init__(
            np.where(whole, self._whole.types, _FLOAT),
            np.where(whole, self._whole.lengths, 8),
        )

    def write(self, row: _Row) -> None:
        self._whole.write(row)
        row.add_integers(self._bits, self._float_lengths)


class Texts(Value):
    """A column of texts."""

    def __init__(self, values: Sequence[str]) -> None:
        encoded = [value.encode() for value in values]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        self._packed = Packed(np.frombuffer(b"".join(encoded), np.uint8), lengths)
        super().__init__(_TEXT + 2 * lengths, lengths)

    def write(self, row: _Row) -> None:
        row.add_strings(self._packed)


class RowIds(Value):
    """The column that is its table's row id: its cell has it, and the record a NULL."""

    def __init__(self, rows: int) -> None:
        nothing = np.zeros(rows, np.int64)
        super().__init__(nothing, nothing)

    def write(self, row: _Row) -> None:
        pass


def cells(values: Sequence[Value], row_ids: Ints | None = None) -> Packed:
    """The cells of rows, as they lie on a leaf: the record's size, a row id if any, the record."""
    rows = len(values[0].types)
    header = np.ones(rows, np.int64)
    for value in values:
        header += _varint_lengths(value.types)
    record = header + np.sum([value.lengths for value in values], axis=0)
    row = _Row(rows)
    row.add_varints(record)
    if row_ids is not None:
        row.add_varints(row_ids)
    row.add_varints(header)
    for value in values:
        row.add_varints(value.types)
    for value in values:
        value.write(row)
    return row.packed()


class _Row:
    """What stands in every row, from left to right."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._parts: list[Packed] = []
        self._columns: list[tuple[Bytes, NDArray[np.bool_]]] = []
        """(a byte of each row, which rows have it), since the last part"""

    def add_integers(self, values: Ints, lengths: Ints) -> None:
        """The last `lengths` bytes of each value, the most significant one first."""
        for place in reversed(range(int(lengths.max(initial=0)))):
            self._add((values >> 8 * place).astype(np.uint8), lengths > place)

    def add_varints(self, values: Ints) -> None:
        """SQLite's integers of seven bits a byte; all but the last byte have the upper bit."""
        lengths = _varint_lengths(values)
        for place in reversed(range(int(lengths.max(initial=0)))):
            byte = (values >> 7 * place) & 0x7F | (0x80 if place else 0)
            self._add(byte.astype(np.uint8), lengths > place)

    def add_strings(self, strings: Packed) -> None:
        self._end_part()
        self._parts.append(strings)

    def packed(self) -> Packed:
        """All rows, one after the other."""
        self._end_part()
        if len(self._parts) == 1:
            return self._parts[0]
        lengths = np.stack([part.lengths for part in self._parts], axis=1)  # (rows, parts)
        numbers = np.tile(np.arange(len(self._parts), dtype=np.uint8), self._rows)
        part_of = np.repeat(numbers, lengths.ravel())  # (bytes of all,)
        data = np.empty(len(part_of), np.uint8)
        for number, part in enumerate(self._parts):
            data[part_of == number] = part.data
        return Packed(data, lengths.sum(axis=1))

    def _add(self, column: Bytes, present: NDArray[np.bool_]) -> None:
        self._columns.append((column, present))

    def _end_part(self) -> None:
        if not self._columns:
            return
        data = np.empty((self._rows, len(self._columns)), np.uint8)
        present = np.empty(data.shape, np.bool_)
        for at, (column, has) in enumerate(self._columns):
            data[:, at], present[:, at] = column, has
        self._columns = []
        self._parts.append(Packed(data[present], present.sum(axis=1)))


def _varint_lengths(values: Ints) -> Ints:
    """How many bytes each of some numbers from 0 to 2^56 - 1 takes as a varint."""
    lengths = np.ones(len(values), np.int64)
    for bits in range(7, 56, 7):
        longer = values >= 1 << bits
        if not longer.any():
            break
        lengths += longer
    return lengths


def varint(value: int) -> bytes:
    """One number from 0 to 2^56 - 1 as SQLite's varint."""
    found = bytes([value & 0x7F])
    while value := value >> 7:
        found = bytes([value & 0x7F | 0x80]) + found
    return found
