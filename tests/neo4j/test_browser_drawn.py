"""docs/browser in Neo4j Browser itself: the guide's steps work, and its style is drawn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from neo4j import Driver, GraphDatabase, Result
from neo4j.graph import Graph

from testbed.neo4j import Database, Unobtainable
from testbed.processes import until
from tests.neo4j.chromium import Browser, Drawing, neo4j_browser
from tests.neo4j.screenshot import follow_the_guide, title
from tests.neo4j.test_browser import DOCS, PARAMETERS, QUERIES, connection

pytestmark = pytest.mark.story

__all__ = ["connection"]

RULES: dict[str, str] = dict(
    re.findall(r"([\w.]+) \{(.*?)\}", (DOCS / "kgt.grass").read_text(), re.DOTALL)
)


@pytest.fixture
def browser(neo4j_database: Database) -> Iterator[Browser]:
    try:
        with neo4j_browser(neo4j_database) as opened:
            yield opened
    except Unobtainable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def driver(neo4j_database: Database) -> Iterator[Driver]:
    login = neo4j_database.login
    with GraphDatabase.driver(login.url, auth=(login.user, login.password)) as opened:
        yield opened


def rule(element: str, name: str, key: str) -> str:
    """What the style says about a label or a type, or about all if it has no rule for that one."""
    body = RULES.get(f"{element}.{name}", RULES[element])
    found = re.search(rf"(?<![\w-]){key}: (.+?);", body)
    assert found, (element, name, key)
    return found.group(1)


@pytest.mark.usefixtures("connection")
def test_the_saved_queries_are_drawn_in_the_style(browser: Browser, driver: Driver) -> None:
    follow_the_guide(browser)
    for name in ("view", "lately", "disagree", "conflicts"):
        browser.run_favorite(title(QUERIES[name]))
        drawing = browser.drawn()
        assert browser.errors() == []
        returned = driver.execute_query(
            QUERIES[name].read_text(), PARAMETERS, result_transformer_=Result.graph
        )
        assert_whole(drawing, returned)
        assert_in_style(drawing)
    browser.run_favorite(title(QUERIES["why"]))
    until(lambda: "dog Desires meat" in browser.text(), "the table of why", 60.0)
    assert '"overtook"' in browser.text()
    assert browser.errors() == []


def assert_whole(drawing: Drawing, returned: Graph) -> None:
    """The drawing has what the query returns and nothing else, with each caption complete."""
    assert sorted(c.caption for c in drawing.circles) == sorted(n["text"] for n in returned.nodes)
    types = Counter((r.type, r.get("relation") or r.type) for r in returned.relationships)
    assert Counter((a.type, a.caption) for a in drawing.arrows) == types


def assert_in_style(drawing: Drawing) -> None:
    for circle in drawing.circles:
        assert circle.fill == rule("node", circle.label, "color"), circle
        assert circle.border_width == rule("node", circle.label, "border-width"), circle
    for arrow in drawing.arrows:
        assert arrow.fill == rule("relationship", arrow.type, "color"), arrow


def test_a_query_that_fails_is_noticed(browser: Browser) -> None:
    browser.type("RETURN $missing")
    assert browser.drawn().circles == ()
    assert "missing" in browser.errors()[0]
