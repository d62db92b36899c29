"""The console in headless Chromium, and what axe-core finds on its pages."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.chromium import look
from testbed.processes import until
from tests.kgt.http_process import http_process

AXE = "4.14.1"
LIMIT_S = 30.0
_GRAVE = ("serious", "critical")
_RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(
  ({violations}) => done(violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html)])),
  (error) => done([['critical', String(error), []]]));
"""


def console(service: str, user: str) -> contextlib.AbstractContextManager[str]:
    """The URL of a console in a process of its own, until the block ends."""
    return http_process("kgt.console", "--user", user, "--server", service)


@dataclass
class Window:
    """The console of one user in a window."""

    driver: Any
    url: str

    def opens(self, path: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        look(self.driver, width, height, dark=dark)
        self.driver.get(self.url + path)

    @property
    def title(self) -> str:
        return str(self.one("h1").text)

    @property
    def text(self) -> str:
        return str(self.one("body").text)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def writes(self, selector: str, text: str) -> None:
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def presses(self, name: str) -> None:
        """Press the first button with these words."""
        self._click("main button, main summary", name)

    def follows(self, name: str) -> None:
        """Follow the first link with these words."""
        self._click("main a, nav a", name)

    def sees(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until it is so, also while the page is exchanged."""
        from selenium.common import exceptions

        def holds() -> bool:
            with contextlib.suppress(
                exceptions.NoSuchElementException, exceptions.StaleElementReferenceException
            ):
                return condition()
            return False

        until(holds, what, LIMIT_S)

    def comes(self, title: str) -> None:
        """Wait for a page with this heading."""
        self.sees(lambda: self.title == title, title)

    def grave_faults(self, axe: str) -> list[str]:
        """What axe-core finds on this page that keeps people out."""
        self.run(axe)
        found = self.driver.execute_async_script(_RUN_AXE)
        return [f"{name}: {nodes}" for impact, name, nodes in found if impact in _GRAVE]

    def _click(self, selector: str, name: str) -> None:
        def found() -> list[Any]:
            return [one for one in self.all(selector) if one.is_displayed() and name in one.text]

        self.sees(lambda: bool(found()), name)
        found()[0].click()


def axe_source() -> str | None:
    """axe-core's script, fetched once with npm; None if it cannot be had."""
    folder = Path(os.environ.get("KGT_CACHE", "~/.cache/kgt")).expanduser()
    file = folder / f"axe-core-{AXE}.tgz"
    if not file.exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", f"axe-core@{AXE}", "--pack-destination", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
    with tarfile.open(file) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
