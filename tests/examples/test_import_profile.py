"""The import: each row once, however often it is run, and a report of what was not understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from examples.import_profile import WrongFile, rows_of
from testbed.processes import ROOT
from tests.examples.conftest import Guarded
from tests.examples.running import ran, started
from tests.rpc.running import Running

IMPORT = "import_profile.py"
ROWS: list[dict[str, Any]] = [
    {"statement": "My dog is named Rex."},
    {"head": "dog", "relation": "likes", "tail": "carrots"},
    {"statement": "She likes jazz."},
    {"statement": "Hello!"},
    {"head": "dog", "relation": "likes"},
    {"head": "dog", "relation": "x" * 65, "tail": "fish"},
]


def profile(folder: Path, rows: list[dict[str, Any]]) -> str:
    path = folder / "profile.json"
    path.write_text(json.dumps(rows))
    return str(path)


async def test_each_row_is_taken_in_or_told(service: Running, tmp_path: Path) -> None:
    arguments = ["-u", "alice", "--server", service.address]
    status, printed, complaint = await ran(IMPORT, *arguments, profile(tmp_path, ROWS))
    assert (status, complaint) == (1, "")
    assert printed.startswith("row 1: taken in\n  learned: my dog is named Rex\nrow 2: taken in\n")
    assert "row 3: not understood\n  not understood: She likes jazz.\n" in printed
    assert "row 4: not understood\nrow 5: rejected\n  has neither" in printed
    assert "row 6: rejected\n  " in printed
    assert printed.endswith("6 rows: 2 taken in, 2 not understood, 2 rejected\n")
    assert len((await service.client.list_edits(user="alice")).edits) == 2


async def test_an_import_that_was_killed_is_run_again_without_duplicates(
    service: Running, tmp_path: Path
) -> None:
    rows = [{"head": "I", "relation": "likes", "tail": f"song {n}"} for n in range(80)]
    arguments = ["-u", "alice", "--server", service.address, profile(tmp_path, [*ROWS[:1], *rows])]
    process = await started(IMPORT, *arguments)
    assert process.stdout is not None
    for _ in range(3):
        await process.stdout.readline()
    process.kill()
    await process.communicate()
    assert 1 < (await service.client.list_edits(user="alice")).revision < 81
    status, printed, _ = await ran(IMPORT, *arguments)
    assert (status, printed.splitlines()[-1]) == (0, "81 rows: 81 taken in")
    assert (await service.client.list_edits(user="alice")).revision == 81


async def test_what_the_user_undid_stays_undone(service: Running, tmp_path: Path) -> None:
    arguments = ["-u", "alice", "--server", service.address, profile(tmp_path, ROWS[:2])]
    await ran(IMPORT, *arguments)
    newest, _ = (await service.client.list_edits(user="alice")).edits
    await service.client.revert_edit(user="alice", edit_id=newest.id)
    await ran(IMPORT, *arguments)
    facts = (await service.client.list_facts(user="alice")).facts
    assert [fact.triple.tail for fact in facts] == ["Rex"]


async def test_the_environment_proves_who_calls(guarded: Guarded, tmp_path: Path) -> None:
    server = guarded.service.address
    arguments = ["-u", "alice", "--server", server, profile(tmp_path, ROWS[1:2])]
    status, _, complaint = await ran(IMPORT, *arguments)
    assert (status, complaint[:15]) == (1, "Unauthenticated")
    status, _, complaint = await ran(IMPORT, *arguments, env=guarded.environment)
    assert (status, complaint) == (0, "")


def test_a_csv_file_has_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "profile.csv"
    path.write_text('\ufeffhead,relation,tail,statement\ndog,likes,"a, b",\n,,,I like jazz\n')
    first, second = rows_of(path)
    assert (first["head"], first["tail"]) == ("dog", "a, b")
    assert second["statement"] == "I like jazz"


@pytest.mark.parametrize("content", ["", "{}", '["a"]', "\udc80"])
def test_what_is_not_a_profile_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(WrongFile, match=r"profile\.json"):
        rows_of(path)


def test_the_example_s_own_profile_can_be_read() -> None:
    assert len(rows_of(ROOT / "examples" / "profile.json")) == 6
