"""The stores that take a graph. A new one is a module here and a line in the table."""

from __future__ import annotations

from collections.abc import Callable

from kgload.report import Report
from kgload.targets.embedded import Embedded
from kgload.targets.neo4j_live import Neo4jLive
from kgload.targets.neo4j_offline import Neo4jOffline
from kgload.targets.protocol import Choice, Target

TARGETS: tuple[Callable[[Choice, Report], Target | None], ...] = (
    Neo4jOffline.chosen,
    Embedded.chosen,
    Neo4jLive.chosen,
)
"""Each returns the target if the options choose it. The first one wins."""


def chosen_target(choice: Choice, report: Report) -> Target:
    """The target that the options choose. Raises InvalidSetting where its login is missing."""
    for chosen in TARGETS:
        target = chosen(choice, report)
        if target is not None:
            return target
    raise AssertionError("Neo4jLive takes every address")
