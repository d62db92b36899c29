"""One's own triples as tab-separated lines, CSV or JSON lines, each read as a value.

A line becomes a Row, a BadLine or a Header. Nothing is guessed and nothing is dropped. Only the
layout determines the delimiter. A first line that names a head, a relation and a tail (`ALIASES`)
is a header; its names say what the columns are, unless `--columns` does. A row has as many columns
as are named. Empty columns behind them, as spreadsheets leave them, do not count.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from kgload.lines import (
    BadLine,
    Header,
    NoTriple,
    Row,
    bad_line,
    checked_concept,
    checked_relation,
    checked_weight,
    has_columns,
    json_document,
)
from kgload.plaintext import Line

COLUMNS = ("head", "relation", "tail", "weight")
NEEDED = COLUMNS[:3]
ALIASES: Mapping[str, tuple[str, ...]] = {
    "head": ("head", "subject", "subj", "h", "s", "start", "from", "source", "src"),
    "relation": (
        "relation",
        "predicate",
        "relationship",
        "rel",
        "pred",
        "r",
        "p",
        "verb",
        "property",
        "edge",
        "type",
    ),
    "tail": ("tail", "object", "obj", "t", "o", "end", "to", "target", "dst"),
    "weight": ("weight", "w", "score", "confidence"),
}
"""What people call the columns. If several names mean the same column, the first one in the list is
taken, because `source` and `type` have other meanings too."""
_KNOWN = frozenset(alias for aliases in ALIASES.values() for alias in aliases)
MAX_FIELD_CHARACTERS = 131_072
"""The csv module's default. A quote that is not closed within this is a stray one."""
_BEHIND_QUOTE = "expected after"
"""Part of the csv module's message for text between a closing quote and the next comma."""
_BLANKS_BEHIND_QUOTE = re.compile(r'"[ \t]+(?=,|$)')
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Item = Row | BadLine | Header


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are called."""

    names: tuple[str, ...] = NEEDED
    given: bool = False
    """Whether the user named them; a header does not change them then."""


class Reader(Protocol):
    """Reads the lines of one layout."""

    def __call__(self, lines: Iterable[Line], columns: Columns) -> Iterator[Item]: ...


def tabbed_rows(lines: Iterable[Line], columns: Columns) -> Iterator[Item]:
    """Read tab-separated lines. Without a header or `--columns`, a fourth column is the weight."""
    table = _Table(columns, weight_may_follow=True)
    for line in lines:
        yield line_item(line, lambda line: table.read(line, line.text.split("\t")))


def comma_rows(lines: Iterable[Line], columns: Columns) -> Iterator[Item]:
    """Read CSV (RFC 4180).

    If a row is malformed, only the line in which it begins is rejected, and the next line is read
    as a new row. The same holds for a quoted row over several lines that has other columns than are
    named: its quote was a stray one. A well-formed row over several lines is one row.
    """
    table, ahead = _Table(columns), _Lookahead(lines)
    for line in ahead:
        taken: list[Line] = []
        item = line_item(line, partial(_comma_row, table, ahead, taken))
        yield replace(item, lines=1 + len(taken)) if taken else item


def json_rows(lines: Iterable[Line], columns: Columns) -> Iterator[Item]:
    """Read JSON lines: objects with keys in `ALIASES`, or lists in the order of the columns."""
    table = _Table(columns, weight_may_follow=True, header=False)
    for line in lines:
        yield line_item(line, lambda line: _json_row(line, table))


def line_item(line: Line, read: Callable[[Line], Row | Header]) -> Item:
    """The result of `read` for a line, or the reason why the line is rejected."""
    try:
        if line.fault:
            raise NoTriple(line.fault)
        return read(line)
    except NoTriple as error:
        return bad_line(line.number, str(error), line.text)


def row_of(values: Mapping[str, Any]) -> Row:
    """A triple from its parts by name. Raises NoTriple."""
    for name in NEEDED:
        if not isinstance(values.get(name), str):
            raise NoTriple(f"the {name} is missing or not text")
    return Row(
        head=checked_concept(values["head"], "head").text,
        relation=" ".join(checked_relation(values["relation"]).split()),
        tail=checked_concept(values["tail"], "tail").text,
        weight=checked_weight(values.get("weight", 1.0)),
    )


def roles(names: Iterable[str]) -> dict[str, str]:
    """column of COLUMNS -> the one of `names` that means it.

    Raises NoTriple if a name is there twice.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.strip().casefold(), []).append(name)
    meant: dict[str, str] = {}
    for column, aliases in ALIASES.items():
        alias = next((alias for alias in aliases if alias in found), None)
        if alias is None:
            continue
        if len(found[alias]) > 1:
            raise NoTriple(f"names the {column} twice")
        meant[column] = found[alias][0]
    return meant


class _Table:
    """The columns of a file, by the options and by its header."""

    def __init__(
        self, columns: Columns, *, weight_may_follow: bool = False, header: bool = True
    ) -> None:
        self._names: Sequence[str] = columns.names
        self._given = columns.given
        self._weight_may_follow = weight_may_follow and not columns.given
        self._may_be_header = header

    def require_columns(self, fields: list[str]) -> None:
        """Raise NoTriple unless each column has a field. Removes empty fields at the end."""
        if self._may_be_header and _named(fields):
            return
        while len(fields) > len(self._names) and not fields[-1].strip():
            fields.pop()
        if len(fields) == len(self._names) + 1 and self._weight_may_follow:
            if not _NUMBER.fullmatch(fields[-1].strip()):
                columns = has_columns(len(fields), len(self._names))
                raise NoTriple(f"{columns}, and the last is not a weight")
        elif len(fields) != len(self._names):
            raise NoTriple(has_columns(len(fields), len(self._names)))

    def read(self, line: Line, fields: list[str]) -> Row | Header:
        """The row, or the header, which comes before all rows. Raises NoTriple."""
        if any(len(field) > MAX_FIELD_CHARACTERS for field in fields):
            raise NoTriple(f"has a field of more than {MAX_FIELD_CHARACTERS:,} characters")
        if named := _named(fields):
            if not self._may_be_header:
                raise NoTriple("names the columns, and rows stand above it")
            self._may_be_header = False
            if not self._given:
                self._names, self._weight_may_follow = named, False
            return Header(line.number)
        row = row_of(self.by_name(fields))
        self._may_be_header = False
        return row

    def by_name(self, fields: list[str]) -> dict[str, Any]:
        """The fields of a row by column, with the weight as a number. Raises NoTriple."""
        self.require_columns(fields)
        names = self._names if len(fields) == len(self._names) else (*self._names, "weight")
        row: dict[str, Any] = {
            name: field for name, field in zip(names, fields, strict=True) if name in COLUMNS
        }
        weight = row.pop("weight", "").strip()
        if weight:
            if not _NUMBER.fullmatch(weight):
                raise NoTriple(f"the weight {weight[:40]!r} is not a number")
            row["weight"] = float(weight)
        return row

    def listed(self, values: list[Any]) -> dict[str, Any]:
        """The values of a JSON list by column. Raises NoTriple."""
        names = self._names
        if self._weight_may_follow and len(values) == len(names) + 1:
            names = (*names, "weight")
        if len(values) != len(names):
            raise NoTriple(has_columns(len(values), len(self._names)))
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _named(fields: Sequence[str]) -> tuple[str, ...]:
    """The columns that a line names; empty unless it names all that are needed.

    A column with another meaning gets an empty name.
    """
    names = [field.strip(" \t\"'") for field in fields]
    if _KNOWN.isdisjoint(map(str.casefold, names)):
        return ()
    try:
        meant = roles(names)
    except NoTriple:
        return ()
    if not all(column in meant for column in NEEDED):
        return ()
    columns = {name: column for column, name in meant.items()}
    while not names[-1]:
        names.pop()
    return tuple(columns.get(name, "") for name in names)


class _Lookahead(Iterator[Line]):
    """Lines that can be put back after they were taken."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._back: list[Line] = []

    def __next__(self) -> Line:
        return self._back.pop() if self._back else next(self._lines)

    def put_back(self, lines: list[Line]) -> None:
        """Let the lines that were taken last come next. Empties the list."""
        self._back.extend(reversed(lines))
        lines.clear()


def _comma_row(table: _Table, ahead: _Lookahead, taken: list[Line], line: Line) -> Row | Header:
    """The row that begins with `line`. Further lines of it move from `ahead` to `taken`.

    Raises NoTriple.
    """
    try:
        fields = _comma_fields(line, ahead, taken)
        table.require_columns(fields)
    except NoTriple:
        ahead.put_back(taken)
        raise
    return table.read(line, fields)


def _comma_fields(line: Line, ahead: _Lookahead, taken: list[Line]) -> list[str]:
    """The fields of the row that begins with `line`. Raises NoTriple."""
    if '"' not in line.text:
        return line.text.split(",")

    def through_quotes(first: str) -> Iterator[str]:
        yield first + "\n"
        for more in ahead:
            taken.append(more)
            if more.fault:
                return
            yield more.text + "\n"

    try:
        return _parsed(through_quotes(line.text))
    except csv.Error as error:
        if _BEHIND_QUOTE not in str(error):
            raise NoTriple(f"is not CSV: {_quote_fault(error, taken)}") from error
    ahead.put_back(taken)
    try:
        return _parsed(iter([_BLANKS_BEHIND_QUOTE.sub('"', line.text)]))
    except csv.Error as error:
        raise NoTriple("is not CSV: a quoted field goes on behind its closing quote") from error


def _parsed(lines: Iterator[str]) -> list[str]:
    return next(csv.reader(lines, strict=True, skipinitialspace=True))


def _quote_fault(error: csv.Error, taken: list[Line]) -> str:
    if not taken and "field limit" in str(error):
        return f"a field has more than {MAX_FIELD_CHARACTERS:,} characters"
    return "a quote that opens here is not closed"


class _Object(dict[str, Any]):
    """A JSON object that remembers all keys that it was given, including repeated ones."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.keys_given = [key for key, value in pairs if value is not None]


def _json_row(line: Line, table: _Table) -> Row:
    document = json_document(line.text, _Object)
    if isinstance(document, list):
        return row_of(table.listed(document))
    if not isinstance(document, _Object):
        raise NoTriple("is neither a JSON object nor a list")
    return row_of({column: document[key] for column, key in roles(document.keys_given).items()})
