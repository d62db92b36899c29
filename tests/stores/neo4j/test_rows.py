"""Values as properties, without a database."""

from __future__ import annotations

from dataclasses import replace

from server.graph.edit import Change, Scope
from server.stores.neo4j.rows import mark_row, uri_of
from tests.conformance.graph_store import CARROTS, added


def test_a_key_too_long_for_an_index_is_cut_and_still_differs_from_others() -> None:
    assert uri_of("dog") == "dog"
    long, other = "ﷺ" * 3_000, "ﷺ" * 3_001
    assert len(uri_of(long).encode()) < 1_000
    assert uri_of(long) != uri_of(other)


def test_an_overlay_edge_says_that_its_subject_is_the_users_own() -> None:
    plain = Change(CARROTS, None, added(1))
    for scope, expected in (
        (None, {}),
        (Scope("What does a dog like?"), {}),
        (Scope("What does my dog like?", owned=True), {"owned": True}),
    ):
        row = mark_row("ann", CARROTS, added(1), replace(plain, scope=scope))
        assert row == mark_row("ann", CARROTS, added(1)) | expected
