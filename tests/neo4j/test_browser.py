"""docs/browser: the saved queries show what they promise, and the guide names all of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from operator import itemgetter
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
    """A connection to a graph in which alice was personalized, and bob and carol disagree."""
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
    """(type, user or "", the end's text) of each path's first relationship."""
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
    numbers = itemgetter("triple", "retrieval_before", "retrieval_after", "reasoning")
    assert [numbers(row) for row in why] == [
        ("dog Desires carrots", 0.0, 0.4, 0.9),
        ("dog Desires meat", 0.3, 0.0, 0.1),
    ]
    assert why[0]["query"] == "What does a dog enjoy?"
    assert (why[0]["loss_before"], why[0]["after"]) == (3.0, "added at 1.0")

    disagree = await rows(connection, "disagree")
    assert [(row["user"], row["triple"]) for row in disagree] == [
        ("alice", "cat Desires milk"),
        ("bob", "dog Desires bones"),
        ("alice", "dog Desires meat"),
    ]
    (conflict,) = await rows(connection, "conflicts")
    assert (conflict["added_by"], conflict["removed_by"]) == ("carol", "bob")
    assert conflict["o"]["text"] == "bones"


def test_the_guide_names_every_file_and_command() -> None:
    guide = (DOCS / "guide.md").read_text()
    files = {path.name for path in DOCS.iterdir()} - {"guide.md", "browser.png"}
    assert set(re.findall(r"\]\((.+?)\)", guide)) == files
    assert [command for command in SETTINGS if command not in guide.splitlines()] == []


def test_overlay_and_base_differ_in_the_style() -> None:
    style = (DOCS / "kgt.grass").read_text()
    colours = {}
    for name, body in re.findall(r"([\w.]+) \{(.*?)\}", style, re.DOTALL):
        found = re.search(r"color: (#\w+)", body)
        assert found, name
        colours[name] = found.group(1)
    arrows = ("relationship", "relationship.ADDED", "relationship.DELETED")
    assert {*arrows, "node.PersonalConcept"} <= set(colours)
    assert len({colours[name] for name in arrows}) == 3
    assert colours["node.PersonalConcept"] != colours["node.Concept"]
