"""The embedded store's files: who may read them, and which files are refused."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.errors import StoreUnusable
from server.stores.sqlite import sql
from server.stores.sqlite.base import BASE_FILE, declared_relations
from server.stores.sqlite.bulk import BaseWriter
from server.stores.sqlite.private_files import private_folder
from server.stores.sqlite.session import Session
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from testbed.bases import BaseTriple, build_base
from testbed.processes import ROOT
from tests.conformance.graph_store import CARROTS, MEAT, VOCABULARY, add


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=["umask 000", "umask 022", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class Overtaken(SqliteStore):
    """A store whose file is replaced after it was opened, as a restore does."""

    def _session(self) -> Session:
        session = super()._session()
        path = self.folder / OVERLAYS_FILE
        copy = path.with_name("copy")
        copy.write_bytes(path.read_bytes())
        copy.replace(path)
        return session


def test_a_store_that_is_replaced_while_it_is_opened_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="deleted or replaced"):
        Overtaken(tmp_path, VOCABULARY)


@pytest.mark.usefixtures("umask")
async def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    build_base(folder, [BaseTriple(MEAT)], VOCABULARY)
    store = SqliteStore(folder, VOCABULARY)
    await add(store, "ann", CARROTS)
    assert {path.name for path in folder.iterdir()} >= {
        OVERLAYS_FILE,
        f"{OVERLAYS_FILE}-wal",
        BASE_FILE,
    }
    assert [(p.name, oct(mode(p))) for p in folder.iterdir() if mode(p) != 0o600] == []
    assert mode(folder) == 0o700
    await store.close()


@pytest.mark.usefixtures("umask")
def test_a_base_that_a_loader_builds_is_too(tmp_path: Path) -> None:
    BaseWriter(tmp_path / "building", [], []).close()
    assert mode(tmp_path / "building") == 0o600


async def test_wider_modes_are_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    build_base(folder, [BaseTriple(MEAT)], VOCABULARY)
    await SqliteStore(folder, VOCABULARY).close()
    (folder / "notes.txt").write_text("mine")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o777)
    store = SqliteStore(folder, VOCABULARY)
    await add(store, "ann", CARROTS)
    assert mode(folder) == 0o700
    assert [mode(p) & 0o077 for p in folder.iterdir() if p.name != "notes.txt"] == [0] * 4
    assert mode(folder / "notes.txt") == 0o777, "not the store's"
    await store.close()


def test_a_folder_that_many_share_stays_theirs(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    private_folder(tmp_path)
    assert mode(tmp_path) == 0o1777


# What is not a store


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(b"\x07noise" * 4000)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def without_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(sql.PUT_META, ("schema_version", "three"))
    connection.close()


def without_tables(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE something (x)")
    connection.close()


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    build_base(tmp_path, [BaseTriple(MEAT)], VOCABULARY)
    store = SqliteStore(tmp_path, VOCABULARY)
    await add(store, "ann", CARROTS)
    await store.close()
    return tmp_path


@pytest.mark.parametrize("damage", [cut, empty, noise, folder, without_version, without_tables])
@pytest.mark.parametrize("name", [BASE_FILE, OVERLAYS_FILE])
def test_a_damaged_file_keeps_the_server_from_starting(
    data: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(data / name)
    with pytest.raises(StoreUnusable) as raised:
        SqliteStore(data, VOCABULARY)
    assert str(data) in str(raised.value)
    assert "\n" not in str(raised.value)
    if name == BASE_FILE:
        with pytest.raises(StoreUnusable):
            declared_relations(data)


def test_a_file_in_the_folders_place_is_not_a_store(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("not a folder")
    with pytest.raises(StoreUnusable):
        declared_relations(path)
    with pytest.raises(StoreUnusable):
        SqliteStore(path, VOCABULARY)


def test_a_log_without_its_file_is_not_a_new_store(data: Path) -> None:
    (data / f"{OVERLAYS_FILE}-wal").write_bytes(b"what was committed last")
    (data / OVERLAYS_FILE).unlink()
    with pytest.raises(StoreUnusable, match="its log is there"):
        SqliteStore(data, VOCABULARY)
    assert not (data / OVERLAYS_FILE).exists()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_server_says_in_one_line_what_is_damaged(data: Path) -> None:
    without_version(data / BASE_FILE)
    served = run("--data", str(data))
    assert (served.returncode, served.stderr.count("\n"), served.stdout) == (2, 1, "")
    assert served.stderr.startswith(f"kgt: {data}: {BASE_FILE} is damaged")
    checked = run("check", "--data", str(data))
    assert (checked.returncode, checked.stderr) == (1, "")
    assert checked.stdout.splitlines()[0].startswith(f"{BASE_FILE} is damaged")
    assert "1 users, 1 edits" in checked.stdout, "the overlays are looked at all the same"
    given_a_file = data / "file"
    given_a_file.write_text("")
    assert run("check", "--data", str(given_a_file)).returncode == 1
    assert run("--data", str(given_a_file)).returncode == 2
