"""What an export says that its triples answer, where only what it comes to is taken."""

from __future__ import annotations

import pytest

from server.graph.codec import MAX_EDIT_BYTES, edit_to_json
from server.graph.edit import Account, Change, Edit, EditKind, Scope, StopReason
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.export_format import Export, MalformedExport, parse_export
from server.tuning.ports import Snapshot
from server.tuning.question import MOST_CHARACTERS
from server.tuning.transfer import net_edits
from tests.graph.edits import packed_key
from tests.tuning.exports import added, exported, signed

VOCABULARY = Vocabulary.built_in()
LONG = "Thank you for your help. " * 8_000
SCOPE = Scope("What does my dog like?", packed_key([1, 2]), "f", owned=True, answered=0.5)
WITHOUT_KEY = Scope(SCOPE.query, owned=True, answered=0.5)


def taught(revision: int, scope: Scope | None, query: str = "") -> Edit:
    change = Change(Triple.of(f"head {revision}", "IsA", "x"), None, added(revision), scope=scope)
    account = Account(query, "a", "s", "o", (), 1, 1, StopReason.OVERTOOK, True, "", "")
    kind = EditKind.PERSONALIZE
    return Edit(f"e{revision}", revision, kind, 1, (change,), account if query else None)


def parsed(*edits: Edit) -> Export:
    return parse_export(exported(edits), VOCABULARY)


def scopes_of(*edits: Edit) -> dict[str, Scope]:
    """The scopes of the export of `edits`, by the heads of their triples."""
    return {triple.head.text: scope for triple, scope in parsed(*edits).scopes().items()}


def test_scopes_come_without_their_keys_and_old_ones_from_their_accounts() -> None:
    found = scopes_of(taught(1, SCOPE, "Hello! What does my dog like?"), taught(2, None, "Who?"))
    assert found == {"head 1": WITHOUT_KEY, "head 2": Scope("Who?")}
    assert scopes_of(taught(1, None)) == {}, "told as a triple"


def test_what_is_no_longer_added_answers_nothing() -> None:
    edit = taught(1, SCOPE)
    [change] = edit.changes
    away = Edit("e2", 2, EditKind.FACTS, 1, (Change(change.triple, change.after, None),))
    assert scopes_of(edit, away) == {}
    back = Edit("e3", 3, EditKind.REVERT, 1, (Change(change.triple, None, change.after),))
    assert scopes_of(edit, away, back) == {"head 1": WITHOUT_KEY}


def test_of_a_long_text_what_asks_is_kept_so_that_many_fit_one_edit() -> None:
    edits = [taught(n, None, f"{LONG}What is my number {n}?") for n in range(1, 31)]
    export = parsed(*edits)
    assert all(len(scope.query) <= MOST_CHARACTERS for scope in export.scopes().values())
    found = {triple: (False, None) for triple, _ in export.by_age()}
    [net] = net_edits(export.by_age(), found, Snapshot(0, "s"), export.scopes())
    assert [change.scope for change in net.changes] == [
        Scope(f"What is my number {n}?") for n in range(1, 31)
    ]
    assert (
        len(edit_to_json(net).encode())
        < MAX_EDIT_BYTES
        < sum(len(edit_to_json(edit).encode()) for edit in edits)
    )


def test_an_export_keeps_scopes_as_they_are() -> None:
    edits = [taught(1, SCOPE, "q"), taught(2, None, "q"), taught(3, None)]
    assert parsed(*edits).edits == tuple(edits)


@pytest.mark.parametrize(
    "scope",
    [
        Scope("a\x1b[0m", b"", ""),
        Scope("x" * (1 << 18 | 1)),
        Scope("q", packed_key([1]) + packed_key([1]), "f"),
        Scope("q", packed_key([1]), "f\u200b"),
    ],
)
def test_a_scope_that_no_rpc_could_have_kept_is_refused_with_its_line(scope: Scope) -> None:
    lines = exported([taught(1, SCOPE), taught(2, scope)])
    for merge in (False, True):
        with pytest.raises(MalformedExport, match="line 3"):
            parse_export(lines, VOCABULARY, merge=merge)


def test_a_key_without_what_it_was_read_with_is_refused_with_its_line() -> None:
    line = edit_to_json(taught(1, SCOPE)).replace('"fingerprint":"f",', "")
    with pytest.raises(MalformedExport, match="line 2"):
        parse_export(signed(line), VOCABULARY)
