"""What tests of several packages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from testbed.neo4j import Database, Unobtainable, running_neo4j

if TYPE_CHECKING:
    from tests.telemetry.seeing import Seen

# No property is about time: a busy machine must not fail it.
settings.register_profile("kgt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kgt")


@pytest.fixture(scope="session")
def neo4j_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A real Neo4j, one a session."""
    try:
        with running_neo4j(tmp_path_factory.mktemp("neo4j")) as database:
            yield database
    except Unobtainable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def seen() -> Iterator[Seen]:
    """A sight, and what it has seen."""
    from tests.telemetry.seeing import Seen

    seen = Seen()
    yield seen
    seen.sight.close()
