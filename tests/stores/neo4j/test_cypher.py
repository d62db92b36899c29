"""The statements as constants, without a database."""

from __future__ import annotations

from server.stores.neo4j import cypher
from tests.conformance.graph_store import VOCABULARY


def test_the_closed_list_of_types_is_the_vocabulary() -> None:
    assert {*cypher.DIRECTED_TYPES, *cypher.SYMMETRIC_TYPES} == {r.name for r in VOCABULARY}
    assert set(cypher.SYMMETRIC_TYPES) == VOCABULARY.symmetric_names()
    letters = [name.replace("/", "") for name in cypher.BASE_TYPES]
    assert all(name.isalpha() for name in letters), "nothing that backticks do not hold"
