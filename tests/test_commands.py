"""The commands next to serving: what they print, do, and refuse."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kgt.client import Client
from server.__main__ import main
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from testbed.bases import BaseTriple, build_base
from testbed.processes import server_process
from tests.conformance.graph_store import add

VOCABULARY = Vocabulary.built_in()
CARROTS = Triple.of("dog", "Desires", "carrots")
MEAT = BaseTriple(Triple.of("dog", "Desires", "meat"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a store in which ann and bob have an edit each."""
    data = tmp_path / "data"
    build_base(data, [MEAT], VOCABULARY)

    async def fill() -> None:
        store = SqliteStore(data, VOCABULARY)
        await add(store, "ann", CARROTS)
        await add(store, "bob", CARROTS)
        await store.close()

    asyncio.run(fill())
    return data


def erase(data: Path, user: str) -> None:
    async def erase() -> None:
        store = SqliteStore(data, VOCABULARY)
        await store.erase(user)
        await store.close()

    asyncio.run(erase())


def run(data: Path, *arguments: object) -> int:
    return main([*map(str, arguments), "--data", str(data)])


def test_a_backup_comes_back_without_who_is_on_the_list(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, listed, other = tmp_path / "copy", tmp_path / "erased", tmp_path / "other"
    assert run(data, "backup", copy) == 0
    assert "2 users, 2 edits, read back" in capsys.readouterr().out
    assert run(data, "restore", copy) == 2
    assert "add --replace" in capsys.readouterr().err
    erase(data, "ann")
    assert run(data, "erased", listed) == 0
    assert "1 erased overlays" in capsys.readouterr().out
    assert run(data, "restore", copy, "--into", other, "--erased", listed) == 0
    told = capsys.readouterr().out
    assert "1 users were erased" in told
    assert "note:" not in told
    assert run(other, "check") == 0
    assert "1 users, 1 edits: all is well" in capsys.readouterr().out
    assert run(data, "restore", copy, "--into", tmp_path / "third") == 0
    assert "note: who was erased" in capsys.readouterr().out
    assert run(tmp_path / "third", "erase-again", listed) == 0
    assert "1 users erased" in capsys.readouterr().out


def test_all_users_go_from_one_store_to_another(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, other = tmp_path / "users.jsonl", tmp_path / "other"
    assert run(data, "export-all", file) == 0
    assert "users.jsonl: 2 users" in capsys.readouterr().out
    assert run(other, "import-all", file) == 0
    assert "2 users imported" in capsys.readouterr().out
    assert run(other, "import-all", file) == 0
    assert "2 users already there" in capsys.readouterr().out
    assert run(data, "export-all", file) == 2
    assert "name a new file" in capsys.readouterr().err


def test_users_who_are_left_out_are_told_by_their_line_only(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "users.jsonl"
    run(data, "export-all", file)
    erase(data, "ann")

    async def begun_anew() -> None:
        store = SqliteStore(data, VOCABULARY)
        await add(store, "ann", CARROTS)
        await store.erase("bob")
        await store.close()

    asyncio.run(begun_anew())
    assert run(data, "import-all", file) == 0
    assert "2 users erased since" in capsys.readouterr().out
    other = tmp_path / "other"

    async def someone_else() -> None:
        store = SqliteStore(other, VOCABULARY)
        await add(store, "ann", CARROTS)
        await store.close()

    asyncio.run(someone_else())
    assert run(other, "import-all", file) == 1
    told = capsys.readouterr().out
    assert "up to line 5: the store has other edits of this user" in told
    assert "ann" not in told
    assert "1 users imported, 1 left out" in told


def test_a_store_is_copied_while_a_server_uses_it_and_not_replaced(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server_process("tests.rpc.fixed_server", data) as server:
        with Client(server.address) as client:
            client.edit_facts(user="cy", add=[("dog", "Desires", "bones")])
            assert run(data, "backup", tmp_path / "copy") == 0
            assert "3 users, 3 edits" in capsys.readouterr().out
            assert run(data, "restore", tmp_path / "copy", "--replace") == 2
            assert "in use; stop the server" in capsys.readouterr().err
            client.edit_facts(user="cy", add=[("dog", "Desires", "a walk")])
        server.stop()
    assert run(data, "restore", tmp_path / "copy", "--replace") == 0


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_neo4j_is_not_copied_by_files(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    login = ["--store", "neo4j://127.0.0.1:1", "--neo4j-user", "u", "--neo4j-password", "p"]
    assert main([command, "folder", *login]) == 2
    assert "deploy/neo4j" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["copy"], ["backup"], ["backup", "--data", "d", "folder"]])
def test_a_wrong_command_line_is_told(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m server" in capsys.readouterr().err
