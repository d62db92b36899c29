"""`kgt neighborhood`, `kgt facts` and `kgt edit`."""

from __future__ import annotations

from tests.kgt.command.running import Run, corrected, document


def test_neighborhood(run: Run) -> None:
    corrected(run)
    shown = run("neighborhood", "dog")
    assert sorted(line.split()[:4] for line in shown.splitlines()[1:3]) == [
        ["+", "dog", "Desires", "vegetables"], ["-", "dog", "Desires", "meat"],
    ]  # fmt: skip
    assert "kennel" in shown
    page = document(run("neighborhood", "--json", "--page-size", "1", "--at-revision", "1", "dog"))
    assert len(page["triples"]) == 1
    more = run(
        "neighborhood",
        "--page-size",
        "1",
        "--at-revision",
        "1",
        "--page-token",
        page["next_page_token"],
        "dog",
    )
    assert ("vegetables" in more) != (page["triples"][0]["triple"]["tail"] == "vegetables")
    assert "more: --page-token" in more


def test_facts(run: Run) -> None:
    edit_id = corrected(run)
    shown = run("facts")
    assert "(dog, Desires, vegetables)" in shown
    assert edit_id in shown
    origins = {f["triple"]["tail"]: f["origin"] for f in document(run("facts", "--json"))["facts"]}
    assert origins == {"vegetables": "ORIGIN_ADDED", "meat": "ORIGIN_REMOVED"}


def test_edit(run: Run) -> None:
    shown = run("edit", "--add", "Luna", "likes", "tuna", "--remove", "dog", "likes", "meat")
    assert shown.startswith("revision 1")
    assert "facts" in shown
    assert "(Luna, Desires, tuna)" in shown
    once = [
        document(run("edit", "--json", "--add", "Luna", "is a", "cat", "--request-id", "r"))
        for _ in range(2)
    ]
    assert once[0] == once[1]
    assert once[0]["edit"]["revision"] == "2"
    assert run("edit", "--add", "Luna", "is a", "cat") == "nothing to change\n"
