"""docs/browser in Neo4j Browser itself, in headless Chromium: the saved queries run there and the graph is drawn.

KGT_BROWSER_SCREENSHOT=FILE keeps a picture of a user's view.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.neo4j.database import Database, until
from tests.neo4j.test_browser import DOCS, PARAMETERS, QUERIES, connection

pytestmark = pytest.mark.story

__all__ = ["connection"]

FRAME = '[data-testid="frame"]'
ERROR = '[data-testid="frameError"], .error-frame'


@pytest.fixture
def chromium() -> Iterator[Any]:
    """A window of a real browser."""
    chromedriver, binary = shutil.which("chromedriver"), shutil.which("chromium")
    if chromedriver is None or binary is None:
        pytest.skip("drawing in Browser needs Chromium (apt install chromium chromium-driver)")
    selenium = pytest.importorskip(
        "selenium.webdriver", reason="drawing in Browser needs selenium (pip install selenium)"
    )
    from selenium.webdriver.chrome.service import Service

    options = selenium.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,1100"):
        options.add_argument(flag)
    window = selenium.Chrome(options=options, service=Service(chromedriver))
    window.set_page_load_timeout(300)
    yield window
    window.quit()


class Browser:
    """Neo4j Browser in that window."""

    def __init__(self, window: Any, database: Database) -> None:
        self._window, self._database = window, database

    def connect(self) -> None:
        login = self._database.login
        self._window.get(self._database.browser)
        for field, text in (("boltaddress", login.url), ("username", login.user), ("password", login.password)):
            self._until_there(f'[data-testid="{field}"]')
            box = self._all(f'[data-testid="{field}"]')[0]
            box.send_keys(*["\ue003"] * 60)  # backspaces: the field holds a proposal
            box.send_keys(text)
        self._all('[data-testid="connect"]')[0].click()
        until(lambda: not self._all('[data-testid="password"]'), "Browser to connect")

    def run(self, command: str) -> None:
        """Put a command in the editor, as a link to Browser does, and press its button."""
        self._window.get(f"{self._database.browser}?cmd=edit&arg={quote(command)}")
        self._until_there('[data-testid="editor-Run"]')
        until(lambda: not self._all('[data-testid="password"]'), "Browser to be connected again")
        before = len(self._all(FRAME))
        self._all('[data-testid="editor-Run"]')[0].click()
        until(lambda: len(self._all(FRAME)) > before, "a result")

    def texts(self, selector: str) -> list[str]:
        return [e.text for e in self._all(selector)]

    def count(self, selector: str) -> int:
        return len(self._all(selector))

    def strokes(self, selector: str) -> set[str]:
        """The colours that elements are filled with."""
        return {e.get_attribute("fill") for e in self._all(selector)}

    def keep(self, file: str) -> None:
        self._window.save_screenshot(file)

    def _until_there(self, selector: str) -> None:
        until(lambda: bool(self._all(selector)), selector)

    def _all(self, selector: str) -> list[Any]:
        return list(self._window.find_elements("css selector", selector))


@pytest.mark.usefixtures("connection")
def test_the_saved_queries_are_drawn(chromium: Any, neo4j_database: Database) -> None:
    browser = Browser(chromium, neo4j_database)
    browser.connect()
    browser.run(":style " + " ".join((DOCS / "kgt.grass").read_text().split()))
    browser.run(
        ":param "
        + str(PARAMETERS).replace("'user'", "user").replace("'concept'", "concept").replace("'revision'", "revision")
    )
    for name in ("view", "lately", "disagree", "conflicts"):
        browser.run(QUERIES[name].read_text())
        until(lambda: browser.count(f"{FRAME} g.node") >= 2, f"{name} to be drawn")
        assert browser.count(f"{FRAME} g.relationship") >= 1
        assert browser.texts(ERROR) == []
        if name == "view":
            assert {"#1E8E3E", "#D93025"} <= {c.upper() for c in browser.strokes(f"{FRAME} g.relationship path")}
            if file := os.environ.get("KGT_BROWSER_SCREENSHOT"):
                browser.keep(file)
    browser.run(QUERIES["why"].read_text())
    until(lambda: any("carrots" in text for text in browser.texts(FRAME)), "the table of why")
