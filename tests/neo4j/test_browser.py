"""docs/browser: the saved queries run on a real graph and show what they promise; the guide names
all of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.stores.neo4j.connection import Connection
from testbed.neo4j import Database
from testbed.neo4j.graphs import forget_users
from testbed.processes import ROOT
from tests.neo4j.screenshot import SETTINGS
from tests.neo4j.story import tell

DOCS = ROOT / "docs" / "browser"
QUERIES = {path.stem: path for path in sorted(DOCS.glob("*.cypher"))}
PARAMETERS = {"user": "alice", "concept": "dog", "revision": 1}


@pytest.fixture
async def connection(neo4j_database: Database, tmp_path: Path) -> AsyncIterator[Connection]:
    """To a graph in which alice was personalized, and bob and carol disagree."""
    await tell(neo4j_database.login, tmp_path)
    opened = Connection(neo4j_database.login)
    yield opened
    await opened.close()
    await forget_users(neo4j_database.login)


async def rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    async def work(tx: Any) -> list[dict[str, Any]]:
        return [
            dict(record) async for record in await tx.run(QUERIES[name].read_text(), PARAMETERS)
        ]

    return await connection.read(work)


def drawn(found: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(type, user or none, the end's text) of the relationships of paths."""
    edges = [row["p"].relationships[0] for row in found]
    return {(e.type, e.get("user", ""), e.end_node["text"]) for e in edges}


async def test_the_saved_queries_show_what_they_promise(connection: Connection) -> None:
    view = drawn(await rows(connection, "view"))
    mine = {("ADDED", "alice", "carrots"), ("ADDED", "alice", "Luna"), ("DELETED", "alice", "meat")}
    assert mine < view
    assert ("AtLocation", "", "kennel") in view
    assert {user for _, user, _ in view} == {"", "alice"}, "no one else's"
    cat = {("ADDED", "alice", "thunder"), ("DELETED", "alice", "milk")}
    assert drawn(await rows(connection, "lately")) == mine | cat

    why = await rows(connection, "why")
    assert [
        (row["triple"], row["retrieval_before"], row["retrieval_after"], row["reasoning"])
        for row in why
    ] == [
        ("dog Desires carrots", 0.0, 0.4, 0.9),
        ("dog Desires meat", 0.3, 0.0, 0.1),
    ]
    assert (why[0]["query"], why[0]["loss_before"], why[0]["after"]) == (
        "What does a dog enjoy?",
        3.0,
        "added at 1.0",
    )

    disagree = await rows(connection, "disagree")
    assert [(row["user"], row["triple"]) for row in disagree] == [
        ("alice", "cat Desires milk"),
        ("bob", "dog Desires bones"),
        ("alice", "dog Desires meat"),
    ]
    (conflict,) = await rows(connection, "conflicts")
    assert (conflict["added_by"], conflict["removed_by"], conflict["o"]["text"]) == (
        "carol",
        "bob",
        "bones",
    )


def test_the_guide_names_every_file_and_command() -> None:
    guide = (DOCS / "guide.md").read_text()
    assert set(re.findall(r"\]\((.+?)\)", guide)) == {p.name for p in DOCS.iterdir()} - {
        "guide.md",
        "browser.png",
    }
    assert [command for command in SETTINGS if command not in guide.splitlines()] == []


def test_the_style_tells_overlay_and_base_apart() -> None:
    style = (DOCS / "kgt.grass").read_text()
    rules = dict(re.findall(r"([\w.]+) \{(.*?)\}", style, re.DOTALL))
    assert {
        "relationship",
        "relationship.ADDED",
        "relationship.DELETED",
        "node.PersonalConcept",
    } <= set(rules)
    colours = {name: re.search(r"color: (#\w+)", body).group(1) for name, body in rules.items()}  # type: ignore[union-attr]
    assert (
        len({colours[n] for n in ("relationship", "relationship.ADDED", "relationship.DELETED")})
        == 3
    )
    assert colours["node.PersonalConcept"] != colours["node.Concept"]
