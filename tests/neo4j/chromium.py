"""Neo4j Browser in headless Chromium, used as docs/browser/guide.md says.

Files are dropped on it, titles and buttons are clicked. Every wait is bounded, and leaving
`neo4j_browser` ends Chromium.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.chromium import NoChromium, chromium
from testbed.neo4j import Database, Unobtainable
from testbed.processes import until

LIMIT_S = 120.0
PATIENCE_S = 15.0

PASSWORD = '[data-testid="password"]'
CONNECT = '[data-testid="connect"]'
FRAME = '[data-testid="frame"]'
ERROR = '[data-testid="cypherFrameErrorMessage"]'
RUN = '[data-testid="editor-Run"]'
FAVORITES = '[data-testid="navigationFavorites"]'
SAVE = ".filedrop-save-to-favorites"

# A page cannot reach the machine's files, so what a drag would carry is put together in the page.
_DROP = """
const [name, text] = arguments, carried = new DataTransfer();
carried.items.add(new File([text], name));
document.querySelector('[data-testid="main"]')
  .dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: carried}));
"""
# What D3 bound to the elements, and how they look.
_DRAWN = """
const frame = document.querySelector('[data-testid="frame"]');
const all = s => [...(frame ? frame.querySelectorAll(s) : [])];
const texts = e => [...e.querySelectorAll('text')].map(t => t.textContent.trim());
const words = e => texts(e).filter(t => t).join(' ');
return [
  all('g.node').map(e => {
    const c = e.querySelector('circle.b-outline'), m = e.getScreenCTM();
    return [e.__data__.labels[0], words(e), c.getAttribute('fill'), c.getAttribute('stroke-width'),
            [m.a, m.e, m.f].map(x => x.toFixed(1)).join(' ')];
  }),
  all('g.relationship').map(e => {
    return [e.__data__.type, words(e), e.querySelector('path.b-outline').getAttribute('fill')];
  }),
];
"""


@dataclass(frozen=True, slots=True)
class Circle:
    label: str
    caption: str
    fill: str
    border_width: str
    place: str


@dataclass(frozen=True, slots=True)
class Arrow:
    type: str
    caption: str
    fill: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The newest frame's graph, as it is on the screen."""

    circles: tuple[Circle, ...]
    arrows: tuple[Arrow, ...]


@contextlib.contextmanager
def neo4j_browser(database: Database, width: int = 1500, height: int = 1100) -> Iterator[Browser]:
    """Neo4j Browser, signed in. Raises Unobtainable."""
    if os.environ.get("KGT_TEST_NEO4J_RELEASE") == "calendar":
        raise Unobtainable("the artifacts of Neo4j's calendar release have no Browser")
    try:
        # The page asks for fonts elsewhere, and there may be no network.
        with chromium(width, height, load_strategy="none") as window:
            window.set_script_timeout(LIMIT_S)
            browser = Browser(window)
            browser.sign_in(database)
            yield browser
    except NoChromium as reason:
        raise Unobtainable(f"drawing in Neo4j Browser {reason}") from reason


class Browser:
    """Neo4j Browser in a window."""

    def __init__(self, window: Any) -> None:
        self._window = window

    def sign_in(self, database: Database) -> None:
        """Fill in the form. The link has the address, as one from http://HOST:7474 does."""
        login = database.login
        self._window.get(f"{database.browser}?dbms={login.url.replace('://', f'://{login.user}@')}")
        pressed = 0.0

        def connected() -> bool:
            nonlocal pressed
            fields = self._all(PASSWORD)
            # A press while the form is still moving gets lost, so it is repeated.
            if fields and time.monotonic() > pressed + PATIENCE_S:
                with self._moving():
                    fields[0].clear()
                    fields[0].send_keys(login.password)
                    self._all(CONNECT)[0].click()
                    pressed = time.monotonic()
            return pressed > 0 and not fields

        self._until(connected, "Browser to connect")

    def type(self, command: str) -> None:
        """Type a command into the editor, and click the button that runs it."""
        self._click("#monaco-main-editor")
        self._window.execute_cdp_cmd("Input.insertText", {"text": command})
        self._run(command)

    def drop(self, file: Path) -> None:
        """Drag a file onto the window. A query is then saved to the favorites."""
        self._wait_for('[data-testid="main"]')
        frames = self._newest()
        self._window.execute_script(_DROP, file.name, file.read_text())
        if file.suffix == ".cypher":
            self._click(SAVE)
            self._until(lambda: not self._all(".has-user-select"), f"{file.name} to be saved")
        else:
            self._until(lambda: self._newest() != frames, f"what {file.name} shows")

    def run_favorite(self, title: str) -> None:
        """Click a saved query in the drawer and run it."""
        place = f'[data-testid="scriptTitle-{title}"]'
        if not self._all(place):
            self._click(FAVORITES)
        self._click(place)
        self._click(FAVORITES)
        self._until(lambda: not self._all(place), "the drawer to close")
        self._run(title)

    def enlarge(self) -> None:
        """Show the newest frame over the whole window, with its graph fitted to it."""
        self._click(f'{FRAME} [title="Fullscreen"]')
        self._wait_for('[title="Close fullscreen"]')
        self.drawn()
        self._click('[aria-label="zoom-to-fit"]')

    def errors(self) -> list[str]:
        """The errors in the frames that are on the screen, once their texts are there."""
        texts = (error.text for error in self._all(ERROR))
        return [text for text in texts if text]

    def text(self) -> str:
        """The newest frame's text."""
        frames = self._all(FRAME)
        return str(frames[0].text) if frames else ""

    def drawn(self) -> Drawing:
        """The newest frame's graph, once it has come to rest; empty if there is an error."""
        seen: list[Drawing] = []

        def rests() -> bool:
            seen.append(self._drawing())
            return bool(self.errors()) or (
                len(seen) > 1 and bool(seen[-1].circles) and seen[-1] == seen[-2]
            )

        self._until(rests, "a graph to be drawn and to come to rest")
        return seen[-1]

    def keep(self, file: Path) -> None:
        """Save a picture of the window."""
        assert self._window.save_screenshot(str(file))

    def _drawing(self) -> Drawing:
        circles, arrows = self._window.execute_script(_DRAWN)
        return Drawing(tuple(Circle(*c) for c in circles), tuple(Arrow(*a) for a in arrows))

    def _run(self, what: str) -> None:
        before = self._newest()
        self._click(RUN)
        self._until(lambda: self._newest() != before, f"a result of {what}")

    def _newest(self) -> str:
        frames = self._all(FRAME)
        return str(frames[0].id) if frames else ""

    def _wait_for(self, selector: str) -> Any:
        self._until(lambda: bool(self._all(selector)), selector)
        return self._all(selector)[0]

    def _click(self, selector: str) -> None:
        """Click it as soon as nothing covers it."""

        def clicked() -> bool:
            with self._moving():
                self._wait_for(selector).click()
                return True
            return False

        self._until(clicked, f"{selector} to be clicked")

    @staticmethod
    def _moving() -> contextlib.suppress:
        """Ignore that what was found on a page a moment ago may be covered or gone by now."""
        from selenium.common import exceptions

        return contextlib.suppress(
            exceptions.ElementClickInterceptedException,
            exceptions.ElementNotInteractableException,
            exceptions.StaleElementReferenceException,
            IndexError,
        )

    def _all(self, selector: str) -> list[Any]:
        return list(self._window.find_elements("css selector", selector))

    @staticmethod
    def _until(condition: Any, what: str) -> None:
        until(condition, what, LIMIT_S)
