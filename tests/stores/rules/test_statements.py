from __future__ import annotations

from types import ModuleType

import pytest

from server.stores.neo4j import cypher
from server.stores.rules.statements import Statements
from server.stores.sqlite import sql


@pytest.mark.parametrize(
    ("module", "text", "name"),
    [
        (sql, sql.GET_USER, "GET_USER"),
        (sql, sql.COMMIT, "COMMIT"),
        (cypher, cypher.COMMIT, "COMMIT"),
        (cypher, cypher.GET_GRAPH, "GET_GRAPH"),
    ],
)
def test_a_statement_has_the_name_of_its_constant(module: ModuleType, text: str, name: str) -> None:
    assert Statements(module).names[text] == name


def test_both_forms_of_a_question_have_its_name() -> None:
    timed = {name: value for name, value in vars(sql).items() if isinstance(value, sql.Timed)}
    assert timed
    for name, value in timed.items():
        if not name.startswith("_"):
            assert {Statements(sql).names[text] for text in value} == {name}
