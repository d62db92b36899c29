"""Where a graph comes from: a file, a gzip file, a URL or standard input; each ends as a local file with an identity."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from kgload.errors import LoadError, WrongFile
from kgload.lines import conceptnet_fault
from kgload.report import Report

_SAMPLE = 1 << 16
_SAMPLES = 64
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_TIMEOUT_S = 60.0
_PROBED_LINES = 200
_BINARY = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"PAR1": "a Parquet file",
    b"SQLite": "a SQLite file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one file from another without reading all of it."""

    name: str
    bytes: int
    digest: str
    """SHA-256 of the content where it passed through here, else of its ends and 64 samples."""
    modified_ns: int

    def same_content(self, other: Identity) -> bool:
        """False where the contents certainly differ."""
        return (self.bytes, self.digest) == (other.bytes, other.digest)

    def same_file(self, other: Identity) -> bool:
        """True where the contents certainly do not differ (0: the whole content was hashed)."""
        return self.same_content(other) and self.modified_ns == other.modified_ns


@dataclass(frozen=True, slots=True)
class Source:
    """A local file to load, plain or gzip."""

    path: Path
    identity: Identity
    compressed: bool

    @property
    def plain_bytes(self) -> int:
        """About how large the text is: a dump in gzip has a tenth to a twentieth of its size."""
        return self.identity.bytes * (12 if self.compressed else 1)

    def text(self) -> Iterator[str]:
        """Its lines, decoded. Raises WrongFile where it is not UTF-8 text, or a gzip file that ends early."""
        try:
            with self._opened() as file:
                for line in file:
                    yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WrongFile(f"{self.identity.name} is not UTF-8 text") from error
        except EOFError as error:
            raise truncated(self.identity.name) from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise WrongFile(f"{self.identity.name} is a damaged gzip file ({error}); fetch it again") from error

    def raw_lines(self) -> Iterator[bytes]:
        with self._opened() as file:
            yield from file

    def _opened(self) -> BinaryIO:
        return gzip.open(self.path, "rb") if self.compressed else self.path.open("rb")  # type: ignore[return-value]


def truncated(name: str) -> WrongFile:
    return WrongFile(f"{name} ends in the middle of its gzip stream: fetch it again (nothing was changed)")


def open_source(name: str, scratch: Path, report: Report) -> Source:
    """The file called `name`: a path, an http(s) URL, or `-`. What is no local file is first written to `scratch`.

    Raises LoadError: not there, not readable, empty, a download that failed.
    """
    if name == "-":
        return _spooled(name, sys.stdin.buffer, scratch, None, report)
    if name.startswith(("http://", "https://")):
        return _fetched(name, scratch, report)
    path = Path(name).expanduser()
    try:
        status = path.stat()
        if path.is_dir():
            raise LoadError(f"{name} is a folder; give the file")
        with path.open("rb") as file:
            digest = _sampled(file, status.st_size)
    except OSError as error:
        raise LoadError(f"{name}: {error.strerror}") from error
    return _checked(Source(path, Identity(name, status.st_size, digest, status.st_mtime_ns), False))


def _fetched(url: str, scratch: Path, report: Report) -> Source:
    noted = scratch / "source.json"
    if noted.exists():  # a load of this URL was interrupted after the download: go on with what was fetched then
        with contextlib.suppress(ValueError, TypeError, OSError):
            identity = Identity(**json.loads(noted.read_text(encoding="utf-8")))
            if identity.name == url:
                path = scratch / "source"
                return Source(path, identity, path.exists() and _is_gzip(path))
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            length = answer.headers.get("Content-Length")
            return _spooled(url, answer, scratch, int(length) if length else None, report)
    except urllib.error.HTTPError as error:
        raise LoadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise LoadError(f"{url}: {getattr(error, 'reason', error)}") from error


def _spooled(name: str, stream: BinaryIO, scratch: Path, length: int | None, report: Report) -> Source:
    path, digest, size = scratch / "source", hashlib.sha256(), 0
    with report.phase(f"reading {'standard input' if name == '-' else name}") as progress, path.open("wb") as file:
        while block := stream.read(_CHUNK):
            file.write(block)
            digest.update(block)
            size += len(block)
            progress.at(size / length if length else None)
    if length is not None and size != length:
        raise LoadError(f"{name}: the connection ended after {size:,} of {length:,} bytes; try again")
    source = _checked(Source(path, Identity(name, size, digest.hexdigest(), 0), False))
    (scratch / "source.json").write_text(json.dumps(asdict(source.identity)), encoding="utf-8")
    return source


def _checked(source: Source) -> Source:
    name = source.identity.name
    if source.identity.bytes == 0:
        raise WrongFile(f"{name} is empty")
    with source.path.open("rb") as file:
        start = file.read(8)
    for magic, kind in _BINARY.items():
        if start.startswith(magic):
            raise WrongFile(f"{name} is {kind}; give the text itself, plain or as gzip")
    return Source(source.path, source.identity, start.startswith(_GZIP))


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _sampled(file: BinaryIO, size: int) -> str:
    """A hash of the first and last bytes and of samples between them; the file's time of change covers the rest."""
    digest = hashlib.sha256(str(size).encode())
    step = max(1, size // _SAMPLES)
    offsets = [*range(0, size, step), max(0, size - _SAMPLE)] if size > _SAMPLE * _SAMPLES else range(0, size, _SAMPLE)
    for offset in offsets:
        file.seek(offset)
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def require_conceptnet(source: Source) -> None:
    """Raise WrongFile unless one of the first lines is a line of ConceptNet's dump."""
    fault, seen = "", 0
    for line in source.text():
        if not line.strip():
            continue
        why = conceptnet_fault(line)
        if not why:
            return
        fault = fault or why
        seen += 1
        if seen == _PROBED_LINES:
            break
    name = source.identity.name
    if not seen:
        raise WrongFile(f"{name} holds no line of text")
    hint = "triples of your own are loaded by `python -m kgload triples`" if "columns" in fault else ""
    raise WrongFile(
        f"{name} is not ConceptNet's dump (5 tab-separated columns: assertion, relation, start, end, JSON): "
        f"its first line {fault}" + (f"; {hint}" if hint else "")
    )
