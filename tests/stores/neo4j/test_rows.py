"""Values as properties, without a database."""

from __future__ import annotations

from server.stores.neo4j.rows import uri_of


def test_a_key_too_long_for_an_index_is_cut_and_still_differs_from_others() -> None:
    assert uri_of("dog") == "dog"
    long, other = "ﷺ" * 3_000, "ﷺ" * 3_001
    assert len(uri_of(long).encode()) < 1_000
    assert uri_of(long) != uri_of(other)
