"""Where a graph comes from: a file (plain or gzip), a URL or standard input.

Each ends as a local file with an identity.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import sys
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from kgload.errors import LoadError, WrongFile
from kgload.notes import from_note, to_note
from kgload.plaintext import Line, Survey, decoded, lines_of, other_encoding, survey
from kgload.report import Report

_SAMPLE = 1 << 16
_SAMPLES = 64
_CHUNK = 1 << 20
_URLS = ("http://", "https://")
_GZIP = b"\x1f\x8b"
_TIMEOUT_S = 60.0
_PROBED_BYTES = 4096
_BINARY = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"\xfd7zXZ", "an xz file"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"SQLite", "a SQLite file"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x89PNG", "a picture"),
    (257, b"ustar", "a tar archive"),
)
"""(offset, bytes, kind of file)"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What distinguishes one file from another without reading all of it."""

    name: str
    bytes: int
    digest: str
    """SHA-256 of the whole content if it was downloaded, else of its ends and 64 samples."""
    modified_ns: int
    """0 if the whole content was hashed."""

    def same_content(self, other: Identity) -> bool:
        """False if the contents certainly differ."""
        return (self.bytes, self.digest) == (other.bytes, other.digest)

    def same_file(self, other: Identity) -> bool:
        """True if the contents are certainly equal."""
        return self.same_content(other) and self.modified_ns == other.modified_ns


@dataclass(frozen=True, slots=True)
class Source:
    """A local file to load, plain or gzip."""

    path: Path
    identity: Identity
    compressed: bool

    @property
    def plain_bytes(self) -> int:
        """About how large the text is. A dump in gzip has a tenth to a twentieth of its size."""
        return self.identity.bytes * (12 if self.compressed else 1)

    def survey(self) -> Survey:
        """Count the lines, in one pass. Raises WrongFile as `opened`, and if no line holds text."""
        with self.opened() as file:
            found = survey(file)
        if not found.texts:
            raise WrongFile(f"{self.identity.name} holds no line of text; nothing was changed")
        return found

    def raw_lines(self) -> Generator[tuple[int, bytes], None, None]:
        """(number, bytes without the line end) for each line with text.

        Raises WrongFile as `opened`. Close it if you stop early: the garbage collector would lose
        a Ctrl-C that comes just then.
        """
        with self.opened() as file:
            yield from lines_of(file)

    def lines(self) -> Iterator[Line]:
        """The lines with text, decoded. Raises WrongFile as `opened`."""
        return (decoded(number, raw) for number, raw in self.raw_lines())

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The bytes, unpacked. Reading raises WrongFile if a gzip file is truncated or damaged."""
        try:
            with gzip.open(self.path, "rb") if self.compressed else self.path.open("rb") as file:
                yield file  # type: ignore[misc]
        except EOFError as error:
            raise truncated(self.identity.name) from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise damaged(self.identity.name) from error


def truncated(name: str) -> WrongFile:
    return WrongFile(
        f"{name} ends in the middle of its gzip stream: fetch it again (nothing was changed)"
    )


def damaged(name: str) -> WrongFile:
    return WrongFile(f"{name} is a damaged gzip file: fetch it again (nothing was changed)")


def read_text(path: Path) -> str:
    """A small text file, without a byte order mark. Raises LoadError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror}") from error
    _require_utf8(str(path), content[:_PROBED_BYTES])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoadError(f"{path} is not UTF-8 text") from error


def _require_utf8(name: str, start: bytes) -> None:
    """Raise WrongFile if a text begins like UTF-16 or UTF-32."""
    encoding = other_encoding(start)
    if encoding:
        raise WrongFile(
            f"{name} is {encoding}, not UTF-8 text: convert it (iconv -f {encoding} -t UTF-8)"
            " and load the result"
        )


def open_source(name: str, scratch: Path, report: Report) -> Source:
    """The file called `name`: a path, an http(s) URL, or `-` for standard input.

    What is not a local file is first written to `scratch`. Raises LoadError: the file is missing,
    cannot be read or is empty, or the download failed.
    """
    if name == "-":
        return _spooled(name, sys.stdin.buffer, scratch, None, report)
    if name.startswith(_URLS):
        return _fetched(name, scratch, report)
    path = Path(name).expanduser()
    try:
        status = path.stat()
        if path.is_dir():
            raise LoadError(f"{name} is a folder; give the file")
        if not path.is_file():  # a pipe can be read once
            with path.open("rb") as stream:
                return _spooled(name, stream, scratch, None, report)
        with path.open("rb") as file:
            digest = _sampled(file, status.st_size)
    except OSError as error:
        raise LoadError(f"{name}: {error.strerror}") from error
    return _checked(Source(path, Identity(name, status.st_size, digest, status.st_mtime_ns), False))


def _fetched(url: str, scratch: Path, report: Report) -> Source:
    noted = scratch / "source.json"
    if noted.exists():  # a load of this URL was interrupted after the download: use that
        with contextlib.suppress(ValueError, OSError):
            identity = from_note(Identity, noted.read_text(encoding="utf-8"))
            if identity.name == url:
                path = scratch / "source"
                return Source(path, identity, path.exists() and _is_gzip(path))
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            length = answer.headers.get("Content-Length")
            return _spooled(url, answer, scratch, int(length) if length else None, report)
    except urllib.error.HTTPError as error:
        raise LoadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ValueError) as error:
        raise LoadError(f"{url}: {getattr(error, 'reason', error)}") from error


def _spooled(
    name: str, stream: BinaryIO, scratch: Path, length: int | None, report: Report
) -> Source:
    path, digest, size = scratch / "source", hashlib.sha256(), 0
    with (
        report.phase(f"reading {'standard input' if name == '-' else name}") as progress,
        path.open("wb") as file,
    ):
        while block := stream.read(_CHUNK):
            file.write(block)
            digest.update(block)
            size += len(block)
            progress.at(size / length if length else None)
    if length is not None and size != length:
        raise LoadError(
            f"{name}: the connection ended after {size:,} of {length:,} bytes; try again"
        )
    source = _checked(Source(path, Identity(name, size, digest.hexdigest(), 0), False))
    (scratch / "source.json").write_text(to_note(source.identity), encoding="utf-8")
    return source


def _checked(source: Source) -> Source:
    """The source, if it looks like text, plain or gzip. Raises WrongFile."""
    name = source.identity.name
    if source.identity.bytes == 0:
        raise WrongFile(f"{name} is empty; nothing was changed")
    if _is_gzip(source.path):
        source = replace(source, compressed=True)
    elif _path_of(name).casefold().endswith(".gz"):
        raise WrongFile(
            f"{name} is not a gzip file, as its name says: fetch it again,"
            " or rename it if it is plain text"
        )
    with source.opened() as file:
        start = file.read(_PROBED_BYTES)
    for at, magic, kind in _BINARY:
        if start.startswith(magic, at):
            raise WrongFile(f"{name} is {kind}; give the text itself, plain or as gzip")
    _require_utf8(name, start)
    return source


def _path_of(name: str) -> str:
    """The path in a URL, without the query behind it; another name as it is."""
    return urllib.parse.urlsplit(name).path if name.startswith(_URLS) else name


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _sampled(file: BinaryIO, size: int) -> str:
    """A hash of the first and last bytes and of samples between them.

    A change elsewhere shows in the time of modification.
    """
    digest = hashlib.sha256(str(size).encode())
    step = max(1, size // _SAMPLES)
    offsets = (
        [*range(0, size, step), max(0, size - _SAMPLE)]
        if size > _SAMPLE * _SAMPLES
        else range(0, size, _SAMPLE)
    )
    for offset in offsets:
        file.seek(offset)
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
