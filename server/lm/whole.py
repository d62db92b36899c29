"""Checks a model's files before any of them is loaded.

Each error is one line: the file, what is wrong with it, and what to do.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

from server.errors import ModelUnusable

ADAPTER_CONFIG = "adapter_config.json"
"""The file by which a PEFT adapter is known."""

_POINTER = b"version https://git-lfs"
_SAFETENSORS, _TORCH = "model.safetensors", "pytorch_model.bin"
_AGAIN = "copy or download it again"
_MOST_HEADER_BYTES = 100_000_000
"""safetensors' own limit."""
_GGUF_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_GGUF_TEXT, _GGUF_ARRAY = 8, 9
"""The types of GGUF's metadata: numbers by their bytes, texts, arrays."""


def unusable(path: Path, wrong: str, remedy: str = _AGAIN) -> ModelUnusable:
    """The error about a file."""
    return ModelUnusable(f"{path}: {wrong}; {remedy}")


def require_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file. Raises ModelUnusable."""
    with opened(path) as file:
        text = file.read()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise unusable(path, "is not JSON, it may be cut") from None
    if not isinstance(found, dict):
        raise unusable(path, "does not hold a JSON object")
    return found


def require_whole_weights(folder: Path) -> None:
    """Require all weight files of a model's folder, whole.

    Raises ModelUnusable, which names the first one that is not.
    """
    for path in weight_files(folder):
        if path.suffix == ".safetensors":
            require_safetensors(path)
        else:
            opened(path).close()


def weight_files(folder: Path) -> list[Path]:
    """The files with the weights in a model's folder, also those that an index names.

    Raises ModelUnusable.
    """
    for name in (_SAFETENSORS, _TORCH):
        if (single := folder / name).exists() or single.is_symlink():
            return [single]
        if (index := folder / f"{name}.index.json").exists():
            return _shards(index)
    raise unusable(
        folder, f"holds no weights ({_SAFETENSORS}, or {_TORCH})", "copy or download them too"
    )


def _shards(index: Path) -> list[Path]:
    places = require_json(index).get("weight_map")
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(name, str) for name in places.values())
    ):
        raise unusable(index, "names no files of weights")
    paths = [index.parent / name for name in sorted(set(places.values()))]
    for path in paths:
        if not path.exists():
            raise unusable(
                path, f"is missing, and {index.name} names it", "copy or download it too"
            )
    return paths


def require_safetensors(path: Path) -> None:
    """Require a header that can be read, and as many bytes as it says. Raises ModelUnusable."""
    size = _size(path)
    with opened(path) as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > _MOST_HEADER_BYTES:
            raise unusable(path, "is not a safetensors file")
        text = file.read(length)
    try:
        header = json.loads(text)
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
        wanted = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise unusable(
            path, "is cut" if 8 + length > size else "has a header that cannot be read"
        ) from None
    if size < wanted:
        raise unusable(path, f"is cut: it has {size} of {wanted} bytes")
    if size > wanted:
        raise unusable(path, f"is damaged: it has {size} bytes instead of {wanted}")


def require_gguf(path: Path) -> None:
    """Require a GGUF file of a known version that holds all tensors that it lists.

    Raises ModelUnusable.
    """
    from gguf import GGML_QUANT_SIZES

    size = _size(path)
    with opened(path) as file:
        if file.read(4) != b"GGUF":
            raise unusable(
                path,
                "is not a GGUF file",
                "KGT_MODEL takes a Hugging Face folder, hub id or .gguf file",
            )
        try:
            sizes = {int(kind): block for kind, block in GGML_QUANT_SIZES.items()}
            end = _GgufReader(file, size).end(sizes)
        except (struct.error, ValueError, OverflowError, MemoryError):
            raise unusable(path, "is cut or damaged: its list of tensors cannot be read") from None
    if size < end:
        raise unusable(path, f"is cut: it has {size} of {end} bytes")


class _GgufReader:
    """Reads a GGUF file's metadata only to find where its tensors end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._alignment = 32

    def end(self, sizes: dict[int, tuple[int, int]]) -> int:
        """Where the last tensor ends. `sizes`: (elements, bytes) in a block of each number type."""
        version, tensors, entries = self._numbers("<IQQ")
        if version not in (2, 3):
            raise ValueError("an unknown version")
        for _ in range(entries):
            name = self._text()
            self._skip_value(self._numbers("<I")[0], name)
        ends = [self._tensor_end(sizes) for _ in range(tensors)]
        start = -(-self._file.tell() // self._alignment) * self._alignment
        return start + max(ends, default=0)

    def _tensor_end(self, sizes: dict[int, tuple[int, int]]) -> int:
        self._text()
        (dimensions,) = self._numbers("<I")
        if dimensions > 8:
            raise ValueError("too many dimensions")
        elements = 1
        for length in self._numbers(f"<{dimensions}Q"):
            elements *= length
        kind, offset = self._numbers("<IQ")
        # A type that is not known here counts as empty; the converter refuses it
        block, width = sizes.get(kind, (1, 0))
        return int(offset) + elements // block * width

    def _skip_value(self, kind: int, name: bytes = b"") -> None:
        if kind == _GGUF_TEXT:
            self._text()
        elif kind == _GGUF_ARRAY:
            inner, count = self._numbers("<IQ")
            if inner in _GGUF_WIDTHS:
                self._skip(count * _GGUF_WIDTHS[inner])
            else:
                for _ in range(count):
                    self._skip_value(inner)
        elif name == b"general.alignment" and kind == 4:
            self._alignment = max(self._numbers("<I")[0], 1)
        elif kind in _GGUF_WIDTHS:
            self._skip(_GGUF_WIDTHS[kind])
        else:
            raise ValueError("an unknown type")

    def _text(self) -> bytes:
        (length,) = self._numbers("<Q")
        if length > 256:
            self._skip(length)
            return b""
        return self._file.read(length)

    def _numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self._file.read(struct.calcsize(form)))

    def _skip(self, length: int) -> None:
        if self._file.tell() + length > self._size:
            raise ValueError("beyond the end")
        self._file.seek(length, 1)


def opened(path: Path) -> BinaryIO:
    """Open a file that can be read and is not a Git LFS pointer. Raises ModelUnusable."""
    if path.is_dir():
        raise unusable(path, "is a folder, where a file is expected")
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise unusable(path, "is missing", "copy or download it too") from None
    except OSError as error:
        raise unusable(path, f"cannot be read: {error.strerror}", "check who may read it") from None
    start = file.peek(len(_POINTER))[: len(_POINTER)]
    if start == _POINTER:
        file.close()
        raise unusable(
            path, "is a Git LFS pointer, not the file itself", "fetch the file with `git lfs pull`"
        )
    if not start:
        file.close()
        raise unusable(path, "is empty")
    return file


def _size(path: Path) -> int:
    opened(path).close()
    return path.stat().st_size


def named_few(names: Collection[str], most: int = 3) -> str:
    """The first few of some names, and how many more there are."""
    ordered = sorted(names)
    more = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {more} more" if more > 0 else "")


def first_line(error: BaseException) -> str:
    """The first line of a library's error message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
