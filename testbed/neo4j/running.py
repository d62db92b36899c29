"""The choice between a container and a process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from testbed.neo4j.container import docker_answers, has_image, neo4j_container
from testbed.neo4j.database import NEEDED, Database, Unobtainable
from testbed.neo4j.process import neo4j_process


@contextlib.contextmanager
def running_neo4j(folder: Path) -> Iterator[Database]:
    """A started Neo4j; if it is a process, its data are in `folder`. Raises Unobtainable."""
    wanted = os.environ.get("KGT_TEST_NEO4J", "")
    release = os.environ.get("KGT_TEST_NEO4J_RELEASE", "lts")
    if wanted != "process" and release == "lts" and docker_answers() and has_image():
        with neo4j_container() as container:
            yield container
    elif wanted != "container" or release != "lts":
        with neo4j_process(folder, release) as process:
            yield process
    else:
        raise Unobtainable(NEEDED)
