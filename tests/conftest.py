"""What tests of several packages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.neo4j.database import Database, Unobtainable, running_neo4j


@pytest.fixture(scope="session")
def neo4j_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A real Neo4j, one a session."""
    try:
        with running_neo4j(tmp_path_factory.mktemp("neo4j")) as database:
            yield database
    except Unobtainable as reason:
        pytest.skip(str(reason))
