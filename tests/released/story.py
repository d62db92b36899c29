"""What a released version did in the store that is kept here, and how it is kept.

`python -m tests.released.story VERSION` tells it with the version at hand, once, when that
version is released: VERSION.tar.xz holds a backup of the embedded store, and all users as JSON
lines. The story stays as it is: all versions' stores are read by what it says here. What a
later version can do in addition is told in a story of its own.
"""

from __future__ import annotations

import asyncio
import sys
import tarfile
import tempfile
from pathlib import Path

from server.keeping.export_all import export_all
from server.stores.sqlite.backup import make_backup
from tests.rpc.running import ENJOY, running

HERE = Path(__file__).parent
BACKUP, USERS = "backup", "users.jsonl"
ALICE, BOB, EVE = "alice", "bob", "eve"
LUNA = ("dog", "is named", "Luna")
EDITS = {ALICE: 4, BOB: 1}
"""How many edits each user has who is still there."""


async def told(folder: Path) -> None:
    """Live the story in `folder`, and copy the store in both ways."""
    async with running(folder / "data") as service:
        client = service.client
        await client.personalize(user=ALICE, query=ENJOY, answer="vegetables")
        named = await client.edit_facts(user=ALICE, add=[("dog", "is named", "Rex")])
        await client.revert_edit(user=ALICE, edit_id=named.edit.id)
        await client.edit_facts(user=ALICE, add=[LUNA], request_id="naming")
        await client.edit_facts(user=BOB, remove=[("dog", "Desires", "meat")])
        await client.edit_facts(user=EVE, add=[("eve", "Desires", "to be forgotten")])
        await client.erase_user(user=EVE)
        make_backup(folder / "data", folder / BACKUP)
        await export_all(service.store, folder / USERS, {})


def kept(version: str) -> Path:
    """Where a version's store is kept."""
    return HERE / f"{version}.tar.xz"


def main(version: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kgt-story-") as name:
        asyncio.run(told(Path(name)))
        with tarfile.open(kept(version), "w:xz") as archive:
            for part in (BACKUP, USERS):
                archive.add(Path(name) / part, part, filter=_nobodys)


def _nobodys(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


if __name__ == "__main__":
    main(sys.argv[1])
