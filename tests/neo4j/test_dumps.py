"""A Neo4j is copied and taken back with deploy/neo4j, without the users who were erased since."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.stores.neo4j.store import Neo4jStore
from testbed.neo4j import ProcessNeo4j, Unobtainable, neo4j_process
from testbed.neo4j.graphs import fill
from testbed.processes import ROOT
from tests.conformance.graph_store import BONES, CARROTS, SOFA, VOCABULARY, add
from tests.stores.neo4j.looking import SMALL

pytestmark = pytest.mark.story


def run(neo4j: ProcessNeo4j, folder: Path, script: str, *arguments: str) -> str:
    """What a script of deploy/neo4j says, with this Neo4j's admin on the path, if it ends well."""
    path = f"{neo4j.admin(folder / 'bin').parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "neo4j" / script), *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout if done.returncode == 0 else f"REFUSED {done.stdout}{done.stderr}"


def command(neo4j: ProcessNeo4j, *arguments: str) -> str:
    """What `python -m server` prints about this Neo4j."""
    login = neo4j.login
    done = subprocess.run(
        [sys.executable, "-m", "server", *arguments, "--store", login.url],
        env={
            **os.environ,
            "KGT_NEO4J_USER": login.user,
            "KGT_NEO4J_PASSWORD": login.password,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout


async def test_a_dump_comes_back_without_who_was_erased_since(tmp_path: Path) -> None:
    dump, listed = str(tmp_path / "dump"), str(tmp_path / "erased.jsonl")
    try:
        with neo4j_process(tmp_path / "neo4j", "lts") as neo4j:
            await fill(neo4j.login, SMALL, VOCABULARY, tmp_path / "base")
            store = await Neo4jStore.open(neo4j.login, VOCABULARY)
            await add(store, "ann", CARROTS)
            await add(store, "bob", SOFA)
            await store.close()
            neo4j.stop()
            assert "read back" in run(neo4j, tmp_path, "dump.sh", dump)
            assert "REFUSED" in run(neo4j, tmp_path, "dump.sh", dump), "it is there"

            neo4j.start()
            store = await Neo4jStore.open(neo4j.login, VOCABULARY)
            await store.erase("ann")
            await add(store, "bob", BONES)
            await store.close()
            assert "1 erased overlays" in command(neo4j, "erased", listed)
            neo4j.stop()
            assert "REFUSED" in run(neo4j, tmp_path, "load.sh", dump), "there is a database"
            assert "is loaded" in run(neo4j, tmp_path, "load.sh", dump, "--replace")

            neo4j.start()
            assert "1 users erased" in command(neo4j, "erase-again", listed)
            store = await Neo4jStore.open(neo4j.login, VOCABULARY)
            assert await store.history("ann") == []
            assert len(await store.history("bob")) == 1, "as of the dump"
            assert await store.check() == []
            await store.close()
    except Unobtainable as reason:
        pytest.skip(str(reason))


def test_a_dump_that_was_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "neo4j.dump").write_text("a dump")
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  neo4j.dump\n")
    script = str(ROOT / "deploy" / "neo4j" / "load.sh")
    done = subprocess.run(
        ["sh", script, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "FAILED" in done.stdout
