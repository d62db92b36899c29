"""The text of a file: where lines end, which of them hold text, and what is not UTF-8.

A line ends at LF, CR LF or CR, as old and new spreadsheets write it, and nowhere else: U+2028,
U+0085, VT and FF are text. Line numbers count every line of the file, including blank ones. A byte
order mark is not text.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import BinaryIO

MAX_LINE_BYTES = 8 << 20
"""A longer line is cut one byte after this, which shows that it was too long. So no file fills the
memory."""
NOT_UTF8 = "is not UTF-8"
_CHUNK = 1 << 20
_PROBED = 1 << 12
_SHARE_OF_ASCII = 0.2
"""At least this much of a file of triples is ASCII in any script: tabs, line ends, relations."""
_LINE_END = re.compile(rb"\r\n?|\n")
_MARKS = {  # UTF-32's first: the little-endian one begins with UTF-16's
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@dataclass(frozen=True, slots=True)
class Survey:
    """The result of a first pass over a file, before its lines are read."""

    texts: int
    """How many lines hold more than ASCII blanks."""
    plain: bool
    """Whether every line is empty or text, and none holds a NUL byte or is too long."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line with text, without its end; `fault` says why it cannot be read."""

    number: int
    text: str
    fault: str = ""


def blocks_of(file: BinaryIO) -> Generator[bytes, None, None]:
    """The file in blocks of whole lines, without a byte order mark at the start."""
    rest, cutting = file.read(_PROBED).removeprefix(codecs.BOM_UTF8), False
    while chunk := file.read(_CHUNK):
        block = rest + chunk
        if cutting:
            end = _LINE_END.search(block)
            # The LF of a CR at the end may be in the next chunk.
            if end is None or (end[0] == b"\r" and end.end() == len(block)):
                rest = block[-1:]
                continue
            block, cutting = block[end.end() :], False
        cut = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
        if cut:
            yield block[:cut]
        rest = block[cut:]
        if len(rest) > MAX_LINE_BYTES + 1:
            yield rest[: MAX_LINE_BYTES + 1] + b"\n"
            rest, cutting = rest[-1:], True
    if cutting:
        end = _LINE_END.search(rest)
        rest = rest[end.end() :] if end else b""
    if rest:
        yield rest


def lines_of(file: BinaryIO) -> Generator[tuple[int, bytes], None, None]:
    """(number, line without its end) for each line with text. Close it if you stop early."""
    number = 0
    with contextlib.closing(blocks_of(file)) as blocks:
        for block in blocks:
            for line in block.splitlines():
                number += 1
                if line.strip():
                    yield number, line


def survey(file: BinaryIO) -> Survey:
    """Count the lines with text."""
    texts, plain = 0, True
    for block in blocks_of(file):
        lines = block.splitlines() if b"\r" in block else block.split(b"\n")
        said = sum(map(bool, map(bytes.strip, lines)))
        texts += said
        plain = plain and said == sum(map(bool, lines)) and b"\0" not in block
        if len(block) > MAX_LINE_BYTES:
            plain = plain and max(map(len, lines)) <= MAX_LINE_BYTES
    return Survey(texts, plain)


def decoded(number: int, raw: bytes) -> Line:
    """A line as text, with \\xNN for bytes that are not UTF-8."""
    fault = ""
    if len(raw) > MAX_LINE_BYTES:
        fault = f"is longer than {MAX_LINE_BYTES >> 20} MiB"
    elif b"\0" in raw:
        fault = "holds NUL bytes"
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Line(number, raw.decode("utf-8", "backslashreplace"), fault or NOT_UTF8)
    # Files that were joined have byte order marks in the middle.
    return Line(number, text.lstrip("\ufeff"), fault)


def other_encoding(start: bytes) -> str:
    """UTF-16 or UTF-32, with its byte order, if a text begins like that; else empty."""
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    start = start[: _PROBED & ~3]
    zeros = [start[at::4].count(0) for at in range(4)]
    each = max(1, len(start) // 4)
    # Text has no NUL characters. So if one byte of every four is nearly always 0, it is the upper
    # half of a letter.
    for name, upper, lower in (
        ("UTF-32LE", (2, 3), (0,)),
        ("UTF-32BE", (0, 1), (3,)),
        ("UTF-16LE", (1, 3), (0, 2)),
        ("UTF-16BE", (0, 2), (1, 3)),
    ):
        least = min(zeros[at] for at in upper)
        if least >= each * _SHARE_OF_ASCII and all(zeros[at] * 8 <= least for at in lower):
            return name
    return ""
