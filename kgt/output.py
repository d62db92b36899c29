"""What the `kgt` command prints: tables for people, JSON for programs, and nothing that a terminal
would obey."""

from __future__ import annotations

import io
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 10_000
_UNSEEN = frozenset(["Cc", "Cf", "Cs", "Zl", "Zp"])
"""Unicode's categories of what moves, reorders, breaks or hides text: controls, formats,
surrogates, separators."""
_JOINERS = "\u200c\u200d"
"""Formats that emoji, Persian and Indic scripts are written with. They move nothing."""


def visible(text: str, keep: str = "") -> str:
    r"""`text` with everything that a terminal would obey, or not show, written out: \x1b, \u202e.
    `keep` stays."""
    return _replaced(text, keep, lambda character: character.encode("unicode_escape").decode())


def visible_json(document: str) -> str:
    """The same JSON document, with such characters in its strings as JSON's own escapes."""
    return _replaced(document, "\n", lambda character: json.dumps(character)[1:-1])


def _replaced(text: str, keep: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():  # most texts
        return text
    kept = keep + _JOINERS
    return "".join(
        escape(c) if unicodedata.category(c) in _UNSEEN and c not in kept else c for c in text
    )


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command decide; rich would end the process here, with status 1."""
        raise BrokenPipeError


class Output:
    """Tables for people, or one JSON document a message for programs."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        # A pipe has no width: what is read by a program, or kept in a file, stays one line a row.
        self._piped = not sys.stdout.isatty()
        self._console = _Console(
            highlight=False, soft_wrap=self._piped, width=_PIPE_WIDTH if self._piped else None
        )

    def message(self, message: Message, show: Callable[[], None]) -> None:
        """`message` as JSON, or as `show` shows it."""
        if self.as_json:
            document = MessageToDict(
                _representable(message),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            print(visible_json(json.dumps(document, ensure_ascii=False)))
        else:
            show()

    def line(self, text: str = "", style: str = "") -> None:
        """One line, whatever is in `text`."""
        self._console.print(Text(visible(text), style=style))

    def paragraph(self, text: str, style: str = "") -> None:
        """A text that may have several lines."""
        self._console.print(Text(visible(text, keep="\n\t"), style=style))

    def raw(self, line: str) -> None:
        """A line of JSON exactly as it is; on a terminal, an equal one."""
        print(line if self._piped else visible_json(line))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in columns:
            table.add_column(
                column, justify="right" if column.startswith("P(") else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        self._console.print(table)


def moment(timestamp: Timestamp) -> str:
    """A time in UTC, or its seconds where no calendar has it."""
    try:
        return f"{timestamp.ToDatetime():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return f"{timestamp.seconds} s after 1970"


def _representable(message: Message) -> Message:
    """`message` without the timestamps that JSON has no form for (years beyond 9999)."""
    copy = type(message)()
    copy.CopyFrom(message)
    _drop_invalid_times(copy)
    return copy


def _drop_invalid_times(message: Message) -> None:
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        values = [value] if isinstance(value, Message) else list(value)
        for inner in values:
            if not isinstance(inner, Timestamp):
                _drop_invalid_times(inner)
            elif not _has_json_form(inner):
                message.ClearField(field.name)


def _has_json_form(timestamp: Timestamp) -> bool:
    try:
        timestamp.ToJsonString()
    except ValueError:
        return False
    return True


def forgive_streams() -> None:
    """Let stdout and stderr write out what their encoding lacks, and be there."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the command
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_unwritten() -> None:
    """Where stdout cannot be written to any more, give up what is still to come, so that the end is
    quiet."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
