"""What the `kgt` command prints: tables for people, JSON for programs.

Nothing that it prints can control the terminal: characters that would are written out.
"""

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
"""The Unicode categories of characters that move, reorder, break or hide text.

These are controls, formats, surrogates, and line and paragraph separators.
"""
_JOINERS = "\u200c\u200d"
"""Formats that emoji and the Persian and Indic scripts need. They move nothing."""


def visible(text: str, keep: str = "") -> str:
    r"""`text` with each character that a terminal would obey or hide written out, as \x1b.

    The characters in `keep` stay as they are.
    """
    return _replaced(text, keep, lambda character: character.encode("unicode_escape").decode())


def visible_json(document: str) -> str:
    """The same JSON document, with such characters in its strings as JSON escapes."""
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
        """Let the command decide. rich would end the process here, with status 1."""
        raise BrokenPipeError


class Output:
    """Prints tables for people, or one JSON document per message for programs."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        # A pipe has no width: a row stays one line, for the program or the file that gets it.
        self._piped = not sys.stdout.isatty()
        self._console = _Console(
            highlight=False, soft_wrap=self._piped, width=_PIPE_WIDTH if self._piped else None
        )

    def message(self, message: Message, show: Callable[[], None]) -> None:
        """Print `message` as JSON, or call `show` to print it for people."""
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
        """Print one line, whatever is in `text`."""
        self._console.print(Text(visible(text), style=style))

    def paragraph(self, text: str, style: str = "") -> None:
        """Print a text that may have several lines."""
        self._console.print(Text(visible(text, keep="\n\t"), style=style))

    def piece(self, text: str, style: str = "") -> None:
        """Print the next characters of a paragraph, without ending the line."""
        shown = Text(visible(text, keep="\n\t"), style=style)
        self._console.print(shown, end="", soft_wrap=True)

    def raw(self, line: str) -> None:
        """Print a line of JSON exactly as it is, or on a terminal an equal one that is safe."""
        print(line if self._piped else visible_json(line))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows under the names of their columns."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in columns:
            table.add_column(
                column, justify="right" if column.startswith("P(") else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        self._console.print(table)


def moment(timestamp: Timestamp) -> str:
    """A time in UTC, or in seconds if it lies outside the calendar."""
    try:
        return f"{timestamp.ToDatetime():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return f"{timestamp.seconds} s after 1970"


def _representable(message: Message) -> Message:
    """`message` without the timestamps that JSON cannot express (years beyond 9999)."""
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
    """Open stdout and stderr if they are closed, and let them escape what they cannot encode."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the parent process closed it
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_unwritten() -> None:
    """Discard what is still buffered if stdout cannot be written, so that Python ends quietly."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
