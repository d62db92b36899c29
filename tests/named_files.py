"""The files and functions that a document names in backticks: `path` or `path.py: name`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACEHOLDER = "NAME"
"""Stands in a path for the name of what is to be added."""
_NAMED = re.compile(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:md|toml|yml))(?:: ([\w.]+))?`")

Named = tuple[str, str]
"""A path from the root, and the qualified name in that file, or nothing."""


def named_in(text: str) -> list[Named]:
    """All that `text` names, in order."""
    return [(match[1], match[2] or "") for match in _NAMED.finditer(text)]


def missing(named: Iterable[Named]) -> list[str]:
    """Those of `named` that are not there, as the document writes them."""
    return [
        f"{path}: {name}" if name else path for path, name in named if not _is_there(path, name)
    ]


def _is_there(path: str, name: str) -> bool:
    if PLACEHOLDER in path:
        return bool(list(ROOT.glob(path.replace(PLACEHOLDER, "*"))))
    if not (ROOT / path).exists():
        return False
    return not name or name in set(_definitions(ast.parse((ROOT / path).read_text("utf-8"))))


def _definitions(node: ast.AST, prefix: str = "") -> Iterator[str]:
    """The qualified names of a module's functions and classes, and of the classes' methods."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + child.name
            if isinstance(child, ast.ClassDef):
                yield from _definitions(child, f"{prefix}{child.name}.")
