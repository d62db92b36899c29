"""A load that is cut off, done twice, or meets another graph."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.generate import generate
from kgload import staging
from server.graph.triple import Triple
from server.stores.sqlite import SqliteStore
from server.stores.sqlite_base import BASE_FILE
from tests.conformance.graph_store import VOCABULARY, add, remove
from tests.kgload.dumps import content, dump, line, load
from tests.kgload.interrupts import MOMENTS, interrupted, moments

ROOT = Path(__file__).parents[2]
KILLS = 20


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dump") / "dump.csv"
    generate(file, 2500)
    return file


def killed(point: int, file: Path, data: Path) -> subprocess.CompletedProcess[str]:
    """The load, killed at a point."""
    arguments = ["conceptnet", str(file), "--data", str(data), "--memory", "512MB", "--batch", "150"]
    command = [sys.executable, "-m", "tests.kgload.killed", str(point), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_a_load_killed_at_any_point_ends_in_the_same_graph(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = killed(0, file, tmp_path / "whole")
    points = int(whole.stdout.split("points ")[1])
    expected = content(tmp_path / "whole")
    went_on = 0
    chance = random.Random(6)
    anywhere = chance.sample(range(1, points), KILLS // 2)
    while_loading = chance.sample(range(points * 3 // 4, points), KILLS // 2)
    for number, point in enumerate(sorted([*anywhere, *while_loading])):
        data = tmp_path / str(number)
        first = killed(point, file, data)
        if first.returncode != -signal.SIGKILL:
            assert first.returncode == 0, first.stderr  # threads make the number of points vary a little
        capsys.readouterr()
        assert load("conceptnet", file, "--batch", "150", data=data) == 0
        went_on += "going on with" in capsys.readouterr().err
        assert content(data) == expected, f"killed at point {point} of {points}"
        assert [p.name for p in data.iterdir()] == [BASE_FILE], "nothing is left beside the base"
        shutil.rmtree(data)
    assert went_on >= KILLS // 4, "a staged dump is not parsed again"


def test_a_load_that_goes_on_does_not_read_the_file_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("conceptnet", file, data=tmp_path / "whole")
    data = tmp_path / "data"
    point = int(killed(0, file, tmp_path / "counted").stdout.split("points ")[1]) - 60
    assert killed(point, file, data).returncode == -signal.SIGKILL
    monkeypatch.setattr(staging._Staging, "run", lambda *_: pytest.fail("staged again"))
    assert load("conceptnet", file, "--batch", "150", data=data) == 0
    assert content(data) == content(tmp_path / "whole")


def test_a_load_may_be_interrupted_at_any_moment(tmp_path: Path) -> None:
    file = tmp_path / "dump.csv"
    generate(file, 150_000, whole=True)
    arguments = ["conceptnet", str(file), "--language", "all"]
    started = time.monotonic()
    assert load(*arguments, data=tmp_path / "whole") == 0
    whole_s = time.monotonic() - started
    expected = content(tmp_path / "whole")
    stopped = 0
    for number, (after_s, presses) in enumerate(moments(whole_s, 6)):
        data = tmp_path / str(number)
        if interrupted(after_s, presses, *arguments, "--data", str(data)):
            assert content(data) == expected, after_s
        else:
            stopped += 1
        assert load(*arguments, data=data) == 0
        assert content(data) == expected, after_s
        shutil.rmtree(data)
    assert stopped >= MOMENTS // 2


def test_a_reader_sees_the_old_base_until_the_new_one_is_whole(file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    load("conceptnet", dump(tmp_path / "small.csv", [line("IsA", "dog", "pet")]), data=data)
    before = content(data)
    arguments = ["conceptnet", str(file), "--data", str(data), "--memory", "512MB", "--batch", "150", "--replace"]
    points = int(killed(0, file, tmp_path / "counted").stdout.split("points ")[1])
    new = content(tmp_path / "counted")
    for point in (points // 3, points * 2 // 3, points - 90, points - 60, points - 30):
        command = [sys.executable, "-m", "tests.kgload.killed", str(point), *arguments]
        status = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=False).returncode
        assert status in (-signal.SIGKILL, 0)
        assert content(data) in (before, new), "the one or the other, whole"
    assert load(*arguments[:2], "--replace", data=data) == 0
    assert content(data) == new


# The same file, and another


def test_the_same_file_twice_changes_nothing(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    load("conceptnet", file, data=data)
    before = (data / BASE_FILE).read_bytes(), (data / BASE_FILE).stat().st_ino
    capsys.readouterr()
    assert load("conceptnet", file, data=data) == 0
    assert "already" in capsys.readouterr().out
    copy = tmp_path / "copy.csv"
    copy.write_bytes(file.read_bytes())
    assert load("conceptnet", copy, data=data) == 0
    assert load("conceptnet", copy, "--replace", data=data) == 0
    assert ((data / BASE_FILE).read_bytes(), (data / BASE_FILE).stat().st_ino) == before


def test_another_file_is_refused_without_replace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    first = dump(tmp_path / "first.csv", [line("IsA", "dog", "pet")])
    other = dump(tmp_path / "other.csv", [line("IsA", "cat", "pet")])
    load("conceptnet", first, data=data)
    before = content(data)
    for arguments in ([other], [first, "--min-weight", "0.5"]):
        assert load("conceptnet", *arguments, data=data) == 2
        assert "--replace" in capsys.readouterr().err
        assert content(data) == before
    assert load("conceptnet", other, "--replace", data=data) == 0
    assert content(data) != before


async def test_replace_keeps_overlays_and_edits_whose_base_edge_is_gone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    load("conceptnet", dump(tmp_path / "a.csv", [line("IsA", "dog", "pet"), line("IsA", "cat", "pet")]), data=data)
    store = SqliteStore(data, VOCABULARY)
    own, gone = Triple.of("dog", "IsA", "friend"), Triple.of("dog", "IsA", "pet")
    await add(store, "ann", own)
    await remove(store, "ann", gone)
    history = await store.history("ann")
    other = dump(tmp_path / "b.csv", [line("IsA", "dog", "wolf")])
    assert load("conceptnet", other, "--replace", data=data) == 0
    view = await store.neighborhood("ann", own.head, 9)
    assert [v.triple.tail.text for v in view.slice("IsA").triples] == ["friend", "wolf"]
    assert await store.history("ann") == history
    assert (await store.find("ann", [gone]))[gone][0] is False
    assert store.check() == []
    await store.close()
