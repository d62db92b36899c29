"""Where each test of the loader has its file and its store."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dump.csv"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"
