"""Stores that released versions made are opened, answered from, and written to (story.py)."""

from __future__ import annotations

import tarfile
import tomllib
from pathlib import Path

import pytest

from server.keeping.import_all import IMPORTED, import_all
from server.stores.neo4j.store import Neo4jStore
from server.stores.sqlite.restore import restore_backup
from server.tuning.ports import GraphStore, Page
from testbed.bases import build_base
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill, forget_users
from testbed.processes import ROOT
from tests.released.story import ALICE, BACKUP, BOB, EDITS, EVE, HERE, LUNA, USERS, kept
from tests.rpc.running import BASE, ENJOY, NAME, VOCABULARY, running, say

VERSIONS = sorted(path.name.removesuffix(".tar.xz") for path in HERE.glob("*.tar.xz"))


@pytest.fixture(params=VERSIONS)
def copies(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with what one version left: a backup, and all users as JSON lines."""
    with tarfile.open(kept(request.param)) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_the_version_at_hand_has_its_store_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] in VERSIONS, "python -m tests.released.story VERSION"


async def test_a_store_answers_its_users_and_an_edit_is_undone(copies: Path) -> None:
    done = await restore_backup(copies / BACKUP, copies / "data", ())
    assert done.problems == []
    async with running(copies / "data") as service:
        client = service.client
        assert await say(client, ENJOY, ALICE) == "vegetables"
        assert await say(client, NAME, ALICE) == "Luna"
        assert await say(client, ENJOY, BOB) == "bones", "meat is not what he sees"
        assert await say(client, ENJOY, EVE) == "meat"
        again = await client.edit_facts(user=ALICE, add=[LUNA], request_id="naming")
        assert again.edit.revision == EDITS[ALICE], "the response is kept"
        corrected = (await client.list_edits(user=ALICE)).edits[-1]
        await client.revert_edit(user=ALICE, edit_id=corrected.id)
        assert await say(client, ENJOY, ALICE) == "meat"
        assert await say(client, ENJOY, ALICE, at_revision=EDITS[ALICE]) == "vegetables"
        assert await service.store.check() == []


async def came(store: GraphStore, users: Path) -> dict[str, int]:
    """How many edits of each user are in the store after an import."""
    outcomes = [outcome async for outcome in import_all(store, VOCABULARY, users)]
    assert {outcome.result for outcome in outcomes} == {IMPORTED}
    listed = await store.overlays(Page(99))
    assert await store.check() == []
    return {one.user: one.snapshot.revision for one in listed.items}


async def test_its_users_come_into_an_embedded_store_of_today(copies: Path) -> None:
    build_base(copies / "other", BASE, VOCABULARY)
    async with running(copies / "other") as service:
        assert await came(service.store, copies / USERS) == EDITS
        assert await say(service.client, ENJOY, ALICE) == "vegetables"


async def test_its_users_come_into_a_neo4j_of_today(copies: Path, neo4j_database: Database) -> None:
    login = neo4j_database.login
    await fill(login, BASE, VOCABULARY, copies / "base")
    await forget_users(login)
    store = await Neo4jStore.open(login, VOCABULARY)
    try:
        assert await came(store, copies / USERS) == EDITS
    finally:
        await store.close()
