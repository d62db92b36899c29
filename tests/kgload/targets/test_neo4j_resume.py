"""Loads into a Neo4j, live and offline, that are killed: the same command completes the graph."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.generate import generate
from kgload.__main__ import main
from server.stores.neo4j import cypher
from server.stores.neo4j.connection import Neo4jLogin
from testbed.neo4j import JAVA, POMS, Database, ProcessNeo4j, Unobtainable, find_java, jars
from testbed.processes import ROOT, until
from tests.kgload import graphs
from tests.kgload.graphs import content, empty
from tests.kgload.killed import interrupted, killed, points_of

KILLS, INTERRUPTS = 20, 8


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("dump") / "dump.csv"
    generate(file, 600)
    return file


def spread(points: int, seed: int) -> Iterator[tuple[int, int]]:
    """(number, point): half of the kills anywhere, half late, where the graph is written."""
    chance = random.Random(seed)
    late = chance.sample(range(points // 2, points), KILLS // 2)
    return enumerate(sorted([*chance.sample(range(1, points), KILLS // 2), *late]))


# Live


@pytest.fixture
def login(neo4j_database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Neo4jLogin]:
    login = neo4j_database.login
    for name, value in (
        ("STORE", login.url),
        ("NEO4J_USER", login.user),
        ("NEO4J_PASSWORD", login.password),
    ):
        monkeypatch.setenv(f"KGT_{name}", value)
    empty(login)
    yield login
    empty(login)


def test_a_live_load_killed_at_any_point_ends_in_the_same_graph(
    login: Neo4jLogin, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["conceptnet", str(file), "--batch", "20"]
    points = points_of(*arguments, "--data", str(tmp_path / "whole"))
    expected = content(login)
    assert len(list(expected["edges"])) > 500
    half = 0
    for number, point in spread(points, 6):
        empty(login)
        data = str(tmp_path / str(number))
        first = killed(point, *arguments, "--data", data)
        assert first.returncode in (-signal.SIGKILL, 0), first.stderr
        stands = graphs.rows(login, cypher.GET_GRAPH)
        loading = bool(stands) and stands[0]["graph"]["state"] == cypher.LOADING
        half += loading and sum(lane["put"] for lane in graphs.rows(login, cypher.GET_LANES)) > 0
        assert main([*arguments, "--data", data, "--memory", "512MB"]) == 0, capsys.readouterr().err
        assert content(login) == expected, f"killed at point {point} of {points}"
        assert graphs.rows(login, cypher.GET_LANES) == []
    assert half >= KILLS // 4, "a load that had put something went on"


def test_a_killed_load_that_replaces_a_base_ends_in_the_new_one(
    login: Neo4jLogin, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["conceptnet", str(file), "--batch", "20", "--replace"]
    points = points_of(*arguments, "--data", str(tmp_path / "whole"))
    expected = content(login)
    before = [
        str(graphs.real(tmp_path / "real.csv")),
        "--language",
        "all",
        "--replace",
        "--memory",
        "512MB",
    ]
    for number, point in enumerate(
        (points * 6 // 10, points * 7 // 10, points * 8 // 10, points * 9 // 10)
    ):
        assert main(["conceptnet", *before, "--data", str(tmp_path / "before")]) == 0
        data = str(tmp_path / str(number))
        killed(point, *arguments, "--data", data)
        assert main([*arguments, "--data", data, "--memory", "512MB"]) == 0, capsys.readouterr().err
        assert content(login) == expected, f"killed at point {point} of {points}"


def test_a_live_load_may_be_interrupted_at_any_point(
    login: Neo4jLogin, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["conceptnet", str(file), "--batch", "20"]
    points = points_of(*arguments, "--data", str(tmp_path / "whole"))
    expected = content(login)
    stopped = 0
    for number, point in enumerate(random.Random(8).sample(range(1, points), INTERRUPTS)):
        empty(login)
        data = str(tmp_path / str(number))
        stopped += not interrupted(point, number % 3 + 1, *arguments, "--data", data)
        assert main([*arguments, "--data", data]) == 0, capsys.readouterr().err
        assert content(login) == expected, f"interrupted at point {point} of {points}"
    assert stopped >= INTERRUPTS // 2


# Offline

TOOL = """#!/bin/sh
# Stands for neo4j-admin: the files are its database.
set -e
database="$NEO4J_HOME/data/databases/neo4j"
rm -rf "$database"
mkdir -p "$database"
for file in "$NEO4J_HOME"/import/kgload/*.csv; do cp "$file" "$database"; done
"""


def made(home: Path) -> dict[str, list[str]]:
    """What the stand-in has imported."""
    folder = home / "data" / "databases" / "neo4j"
    return {
        file.name: sorted(file.read_text(encoding="utf-8").splitlines())
        for file in sorted(folder.iterdir())
    }


def with_stand_in(home: Path) -> Path:
    (home / "bin").mkdir(parents=True)
    tool = home / "bin" / "neo4j-admin"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    return home


def test_an_offline_load_killed_at_any_point_imports_the_same_files(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def arguments(name: str) -> list[str]:
        home = tmp_path / f"home-{name}"
        return ["conceptnet", str(file), "--offline", str(home), "--data", str(tmp_path / name)]

    with_stand_in(tmp_path / "home-whole")
    points = points_of(*arguments("whole"))
    expected = made(tmp_path / "home-whole")
    assert len(expected["edges.csv"]) > 500
    for number, point in spread(points, 7):
        home = with_stand_in(tmp_path / f"home-{number}")
        first = killed(point, *arguments(str(number)))
        assert first.returncode in (-signal.SIGKILL, 0), first.stderr
        whole = not (home / "import" / "kgload.importing").exists() and (home / "data").exists()
        assert main([*arguments(str(number)), "--memory", "512MB"]) == (2 if whole else 0), (
            capsys.readouterr().err
        )
        assert made(home) == expected, f"killed at point {point} of {points}"
        shutil.rmtree(home)


def test_an_import_killed_while_neo4j_admin_works_is_done_again(
    login: Neo4jLogin, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        lib, java = jars(POMS["lts"]), find_java(JAVA["lts"])
    except Unobtainable as reason:
        pytest.skip(str(reason))
    if java is None:
        pytest.skip("needs Java 17 for neo4j-admin")
    home = tmp_path / "home"
    database = ProcessNeo4j(home, java, lib)
    (home / "lib").symlink_to(lib)
    arguments = [
        "conceptnet",
        str(file),
        "--offline",
        str(home),
        "--data",
        str(tmp_path / "data"),
        "--memory",
        "512MB",
    ]
    store = home / "data" / "databases" / "neo4j"
    moments: tuple[Callable[[], bool], ...] = (
        (home / "import" / "kgload.importing").exists,
        store.exists,
        (store / "neostore.nodestore.db").exists,
        lambda: any(
            path.stat().st_size > 0 for path in store.glob("neostore.relationshipstore.db")
        ),
    )
    marker = home / "import" / "kgload.importing"
    for moment in moments:
        marker.unlink(missing_ok=True)
        shutil.rmtree(store, ignore_errors=True)
        kill_when(moment, arguments, whole_group=moment is not moments[-1])
        assert marker.exists(), "killed before its end"
    assert main(arguments) == 0, capsys.readouterr().err
    assert not marker.exists()
    assert (
        main(["conceptnet", str(file), "--data", str(tmp_path / "live"), "--memory", "512MB"]) == 0
    )
    database.start()
    try:
        assert content(database.login) == content(login), "as the live route makes it"
    finally:
        database.stop()


def kill_when(moment: Callable[[], bool], arguments: list[str], *, whole_group: bool) -> None:
    """Run the loader until something is so, and kill it: with the import that it runs, or alone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kgload", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: moment() or process.poll() is not None, "the import's next step")
        assert process.poll() is None, "the loader ended before"
    finally:
        os.kill(process.pid, signal.SIGKILL) if not whole_group else os.killpg(
            process.pid, signal.SIGKILL
        )
        process.wait(60)
