"""What a test may do with a Neo4j, however it runs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Protocol

import neo4j
from neo4j.exceptions import DriverError, Neo4jError

from server.stores.neo4j.connection import Neo4jLogin

START_S = 300.0
NEEDED = (
    "Neo4j tests need a Docker engine, or Java 17 and Maven"
    " (apt install openjdk-17-jre-headless maven)"
)


class Unobtainable(Exception):
    """No Neo4j can be made on this machine. The message says what to install."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a Neo4j may use, in its own notation."""

    heap: str
    page_cache: str


FOR_TESTS = Memory("512m", "128m")
AS_IN_COMPOSE = Memory("1g", "512m")


class Database(Protocol):
    """A Neo4j that a test may stop, kill and start again. Its data stay."""

    login: Neo4jLogin
    browser: str

    def start(self) -> None: ...

    def stop(self) -> None:
        """Stop it as an operator would."""
        ...

    def kill(self) -> None:
        """End it as kill -9 would."""
        ...


def new_password() -> str:
    """A random password that no command line takes for an option."""
    return "p" + secrets.token_urlsafe(12)


def bolt_answers(login: Neo4jLogin) -> bool:
    """Whether a query is answered there."""
    try:
        with neo4j.GraphDatabase.driver(
            login.url, auth=(login.user, login.password), connection_timeout=2
        ) as driver:
            driver.execute_query("RETURN 1")
    except (DriverError, Neo4jError, OSError):
        return False
    return True
