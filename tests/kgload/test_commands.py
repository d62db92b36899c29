"""The commands: their options, the starter graph, `stats`, and where the output goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kgload.__main__ import main
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.store import SqliteStore
from testbed.processes import ROOT
from tests.conformance.graph_store import VOCABULARY, add, t
from tests.kgload.dumps import GOOD, content, dump, edges, line, load


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--data", "FILE"], "Not a directory; name a folder that can be written"),
        (["--data", "FILE/below"], "Not a directory; name a folder that can be written"),
        (["--rejects", "FILE/rejects.tsv"], "name a file in a folder that is there"),
        (["--rejects", "FOLDER"], "name a file in a folder that is there"),
        (["--batch", "0"], "'0' is not a whole number from 1 on"),
        (["--batch", "many"], "'many' is not a whole number from 1 on"),
        (["--max-errors", "-1"], "'-1' is not a whole number from 0 on"),
        (["--min-weight", "nan"], "'nan' is not a number"),
    ],
)
def test_an_option_that_cannot_be_is_told(
    arguments: list[str],
    complaint: str,
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dump(file, [GOOD])
    given = [a.replace("FILE", str(file)).replace("FOLDER", str(tmp_path)) for a in arguments]
    try:
        status: object = main(["conceptnet", str(file), "--data", str(tmp_path / "data"), *given])
    except SystemExit as refused:
        status = refused.code
    assert status == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "data" / BASE_FILE).exists()


def in_a_process(
    *arguments: str | Path, data: Path, stdout: int, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run the loader in a process with its own standard output."""
    command = [sys.executable, "-m", "kgload", *(str(a) for a in arguments), "--data", str(data)]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=stderr, timeout=120, check=False)


def test_a_reader_that_has_seen_enough_stops_nothing(file: Path, data: Path) -> None:
    dump(file, [line("IsA", f"dog {n}", "pet") for n in range(50)])
    near, far = os.pipe()
    os.close(near)
    assert in_a_process("conceptnet", file, data=data, stdout=far, stderr=far).returncode == 0
    assert len(edges(data)) == 50
    told = in_a_process("stats", data=data, stdout=far)
    os.close(far)
    assert (told.returncode, told.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_cannot_be_written_is_an_error(file: Path, data: Path) -> None:
    load("conceptnet", dump(file, [GOOD]), data=data)
    with Path("/dev/full").open("w") as full:
        told = in_a_process("stats", data=data, stdout=full.fileno())
    assert told.returncode == 2
    assert told.stderr.decode().splitlines() == ["kgload: [Errno 28] No space left on device"]


def test_the_starter_graph_loads_and_stays(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("starter", data=data) == 0
    before = content(data)
    assert len(before["edges"]) > 3000
    capsys.readouterr()
    assert load("starter", "--if-empty", data=data) == 0
    assert load("starter", data=data) == 0
    assert "already" in capsys.readouterr().out
    assert content(data) == before


async def test_stats_shows_what_the_store_holds(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line("IsA", f"pet{n}", "animal") for n in range(20)] + [
        line("UsedFor", "dog", "hunting")
    ]
    load("conceptnet", dump(tmp_path / "dump.csv", lines), data=data)
    store = SqliteStore(data, VOCABULARY)
    await add(store, "ann", t("dog", "Desires", "bones"))
    await store.close()
    capsys.readouterr()
    assert main(["stats", "--json", "--data", str(data)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["concepts"], found["edges"], found["users"], found["edits"]) == (23, 21, 1, 1)
    assert found["relations"] == {"IsA": 20, "UsedFor": 1}
    assert next(iter(found["hubs"].items())) == ("animal", 20)
    assert len(found["hubs"]) == 10
    assert main(["stats", "--data", str(data)]) == 0
    assert "animal\t20" in capsys.readouterr().out


def test_stats_of_nothing_says_what_to_do(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--data", str(data)]) == 2
    assert "kgload starter" in capsys.readouterr().err
