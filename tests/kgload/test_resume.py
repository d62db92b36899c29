"""A load that is cut off, done twice, or meets another graph."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from bench.generate import generate
from kgload import filling
from server.graph.triple import Triple
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import SqliteStore
from tests.conformance.graph_store import VOCABULARY, add, remove
from tests.kgload.dumps import content, dump, line, load
from tests.kgload.killed import interrupted, killed, points_of

KILLS, INTERRUPTS = 20, 8


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dump") / "dump.csv"
    generate(file, 2500)
    return file


def loading(file: Path, data: Path) -> list[str]:
    """The command that is cut off."""
    return ["conceptnet", str(file), "--data", str(data), "--batch", "150"]


def test_a_load_killed_at_any_point_ends_in_the_same_graph(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = points_of(*loading(file, tmp_path / "whole"))
    expected = content(tmp_path / "whole")
    went_on = 0
    chance = random.Random(6)
    anywhere = chance.sample(range(1, points), KILLS // 2)
    while_loading = chance.sample(range(points * 3 // 4, points), KILLS // 2)
    for number, point in enumerate(sorted([*anywhere, *while_loading])):
        data = tmp_path / str(number)
        first = killed(point, *loading(file, data))
        if first.returncode != -signal.SIGKILL:
            # Threads make the number of points vary a little.
            assert first.returncode == 0, first.stderr
        capsys.readouterr()
        assert load("conceptnet", file, "--batch", "150", data=data) == 0
        went_on += "going on with" in capsys.readouterr().err
        assert content(data) == expected, f"killed at point {point} of {points}"
        assert [p.name for p in data.iterdir()] == [BASE_FILE], "nothing is left next to the base"
        shutil.rmtree(data)
    assert went_on >= KILLS // 4, "a staged dump is not parsed again"


def test_a_load_that_goes_on_does_not_read_the_file_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("conceptnet", file, data=tmp_path / "whole")
    data = tmp_path / "data"
    point = points_of(*loading(file, tmp_path / "counted")) - 60
    assert killed(point, *loading(file, data)).returncode == -signal.SIGKILL
    monkeypatch.setattr(filling, "_filled", lambda *_: pytest.fail("staged again"))
    assert load("conceptnet", file, "--batch", "150", data=data) == 0
    assert content(data) == content(tmp_path / "whole")


@pytest.mark.parametrize(
    "function", ["", "number", "_place"], ids=["anywhere", "in statements", "between pages"]
)
def test_a_load_may_be_interrupted_at_any_point(function: str, tmp_path: Path) -> None:
    file = tmp_path / "dump.csv"
    generate(file, 150_000, whole=True)
    arguments = ["conceptnet", str(file), "--language", "all"]
    points = points_of(*arguments, "--data", str(tmp_path / "whole"), function=function)
    expected = content(tmp_path / "whole")
    stopped = 0
    for number, point in enumerate(random.Random(6).sample(range(1, points), INTERRUPTS)):
        data = tmp_path / str(number)
        if interrupted(point, number % 3 + 1, *arguments, "--data", str(data), function=function):
            assert content(data) == expected, point
        else:
            stopped += 1
        assert load(*arguments, data=data) == 0
        assert content(data) == expected, f"interrupted at point {point} of {points}"
        shutil.rmtree(data)
    assert stopped >= INTERRUPTS // 2


def test_a_reader_sees_the_old_base_until_the_new_one_is_whole(file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    load("conceptnet", dump(tmp_path / "small.csv", [line("IsA", "dog", "pet")]), data=data)
    before = content(data)
    points = points_of(*loading(file, tmp_path / "counted"))
    new = content(tmp_path / "counted")
    for point in (points // 3, points * 2 // 3, points - 90, points - 60, points - 30):
        status = killed(point, *loading(file, data), "--replace").returncode
        assert status in (-signal.SIGKILL, 0)
        assert content(data) in (before, new), "the one or the other, whole"
    assert load("conceptnet", file, "--replace", data=data) == 0
    assert content(data) == new


# The same file, and another


def test_the_same_file_twice_changes_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_another_file_is_refused_without_replace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    load(
        "conceptnet",
        dump(tmp_path / "a.csv", [line("IsA", "dog", "pet"), line("IsA", "cat", "pet")]),
        data=data,
    )
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
    assert await store.check() == []
    await store.close()
