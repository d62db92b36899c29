"""Who may import whom, and where the tests of a package are."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
SOURCES = (ROOT, ROOT / "server")
"""tests/kgt has the tests of kgt, tests/graph those of server/graph."""

NO_MIRRORS = {
    "conformance": "one suite for every store and every model",
    "compose": "docker-compose.yml and the image",
    "fuzz": "bytes that no client sends, to a whole server",
    "neo4j": "the whole service over a real Neo4j, and Neo4j Browser",
    "released": "stores that released versions made",
    "story": "the demo and a service without a network, as processes with the default model",
}
"""Folders of tests that are not about one package, and what they are about."""


def test_who_may_import_whom() -> None:
    """The contracts in pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        assert f"{contract['name']} KEPT" in done.stdout


def folders_of_tests() -> Iterator[Path]:
    """The folders below tests/ that hold Python files, relative to it."""
    for path in sorted({file.parent for file in TESTS.rglob("*.py")}):
        if path != TESTS:
            yield path.relative_to(TESTS)


def test_tests_mirror_the_source() -> None:
    strays = []
    for folder in folders_of_tests():
        mirrored = [source / folder for source in SOURCES]
        exists = any(path.is_dir() or path.with_suffix(".py").exists() for path in mirrored)
        if not exists and folder.parts[0] not in NO_MIRRORS:
            strays.append(f"tests/{folder.as_posix()}")
    assert not strays, f"these mirror no package, and NO_MIRRORS does not name them: {strays}"


def test_the_packages_of_the_server_have_tests() -> None:
    packages = {path.parent.name for path in (ROOT / "server").glob("*/__init__.py")}
    assert packages <= {folder.parts[0] for folder in folders_of_tests()}


def test_every_folder_that_mirrors_nothing_is_there() -> None:
    assert NO_MIRRORS.keys() <= {folder.parts[0] for folder in folders_of_tests()}


def test_every_top_level_package_is_under_the_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(settings["tool"]["importlinter"]["root_packages"]) == packages
