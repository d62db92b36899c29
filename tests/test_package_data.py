"""What is installed has each file that the packages read."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PATTERNS = [
    f"{package.replace('.', '/')}/{pattern}"
    for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items()
    for pattern in patterns
]
FOR_PEOPLE = (".md",)


def test_every_data_file_of_a_package_is_installed() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for package in ("kgt", "server", "kgload")
        for path in sorted((ROOT / package).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    data = [name for name in found if not name.endswith((".py", ".pyc", *FOR_PEOPLE))]
    missing = [name for name in data if not _is_installed(name)]
    assert data, "there are some"
    assert missing == []


def _is_installed(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in PATTERNS)
