"""A real Neo4j for tests, benchmarks and the demo, made on this machine.

It runs in a container if a Docker engine answers. Otherwise it is made from Maven artifacts and
runs with this machine's Java; the jars stay in KGT's cache between runs.

Two environment variables choose another way:

- `KGT_TEST_NEO4J=container` or `process` asks for one of the two.
- `KGT_TEST_NEO4J_RELEASE=calendar` asks for the newest calendar release, which needs Java 21 and
  runs as a process. Without it, only the conformance suite runs on that release too: running all of
  Neo4j's tests twice would take minutes.
"""

from __future__ import annotations

from testbed.neo4j.container import docker_answers
from testbed.neo4j.database import (
    AS_IN_COMPOSE,
    NEEDED,
    Database,
    Unobtainable,
    new_password,
)
from testbed.neo4j.java import JAVA, POMS, find_java, jars
from testbed.neo4j.process import ProcessNeo4j, neo4j_process
from testbed.neo4j.running import running_neo4j

__all__ = [
    "AS_IN_COMPOSE",
    "JAVA",
    "NEEDED",
    "POMS",
    "Database",
    "ProcessNeo4j",
    "Unobtainable",
    "docker_answers",
    "find_java",
    "jars",
    "neo4j_process",
    "new_password",
    "running_neo4j",
]
