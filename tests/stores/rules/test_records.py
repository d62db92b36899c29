"""A damaged record is reported as damage, whatever it holds."""

from __future__ import annotations

import pytest

from server.errors import DataLoss, UnreadableRecord
from server.graph.codec import edit_to_json
from server.graph.edit import Edit, EditKind, UnreadableEdit
from server.stores.rules import records
from server.tuning.ports import RequestRecord, Snapshot

EDIT = Edit("e1", 3, EditKind.FACTS, 1_000, ())
BODY = edit_to_json(EDIT)


def test_an_edit_is_read_from_text_or_bytes() -> None:
    assert records.read_edit(BODY, "e1", 3, 1_000) == EDIT
    assert records.read_edit(BODY.encode(), b"e1", 3, 1_000) == EDIT


@pytest.mark.parametrize(
    ("body", "edit_id", "revision", "known"),
    [
        (None, "e1", 3, UnreadableEdit("e1", 3, 1_000)),
        (b"\xff", "e1", 3, UnreadableEdit("e1", 3, 1_000)),
        ("[" * 100_000, "e1", 3, UnreadableEdit("e1", 3, 1_000)),
        (BODY, "another", 3, UnreadableEdit("another", 3, 1_000)),
        (BODY, "e1", 4, UnreadableEdit("e1", 4, 1_000)),
        (BODY, b"\xff\n", "three", UnreadableEdit("��", 0, 1_000)),
        (BODY, "e" * 99, -1, UnreadableEdit("e" * 64, 0, 1_000)),
    ],
)
def test_an_unreadable_edit_says_what_is_known_of_it(
    body: object, edit_id: object, revision: object, known: UnreadableEdit
) -> None:
    assert records.read_edit(body, edit_id, revision, 1_000) == known


def test_what_needs_a_damaged_edit_names_it() -> None:
    assert records.all_readable([EDIT]) == [EDIT]
    with pytest.raises(UnreadableRecord, match=r"edit e2 \(revision 2\)"):
        records.all_readable([EDIT, UnreadableEdit("e2", 2, 1)])


def test_other_records_are_read_or_are_damaged() -> None:
    assert records.read_snapshot("a", 1) == Snapshot(1, "a")
    assert records.read_response("r", "hash", bytearray(b"x")) == RequestRecord("r", "hash", b"x")
    assert records.read_revert("e2", "e1") == ("e2", "e1")
    for read, values in (
        (records.read_snapshot, ("a", "1")),
        (records.read_response, ("r", None, b"x")),
        (records.read_response, ("r", "hash", "x")),
        (records.read_revert, (b"\xff", "e1")),
    ):
        with pytest.raises(DataLoss, match="python -m server check"):
            read(*values)  # type: ignore[operator]
