"""`kgt edits` and `kgt revert`."""

from __future__ import annotations

from tests.kgt.command.running import Run, corrected, document
from tests.rpc.running import ENJOY


def test_edits(run: Run) -> None:
    assert run("edits") == "no edits\n"
    ids = [corrected(run), corrected(run, "fish")]
    shown = run("edits")
    assert shown.index(ids[1]) < shown.index(ids[0])
    assert f"{ENJOY} -> fish" in shown
    assert [e["id"] for e in document(run("edits", "--json"))["edits"]] == ids[::-1]


def test_revert(run: Run) -> None:
    first, second = corrected(run), corrected(run, "fish")
    skipped = document(run("revert", "--json", "--skip-conflicts", first))
    assert [edit_id for s in skipped["skipped"] for edit_id in s["edit_ids"]].count(second) == len(
        skipped["skipped"]
    )
    shown = run("revert", second)
    assert f"revert  {document(run('edits', '--json'))['edits'][0]['id']}  of {second}" in shown
    assert run("answer", ENJOY).startswith("vegetables\n")
