"""Somebody who uses the console without scripts: opens pages, and fills in their forms."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from httpx2 import Response
from starlette.testclient import TestClient

from kgt.addresses import Address
from kgt.client.access import Access
from kgt.console.serving import Serving

_INLINE = r"</?(?:a|b|bdi|code|del|ins|q|span)\b[^>]*>"
ADDRESS = Address.parse("127.0.0.1:8780")


@dataclass
class Person:
    """A browser, and the page that it shows."""

    browser: TestClient
    status: int = 0
    source: str = ""
    content_type: str = ""

    def opens(self, path: str) -> str:
        """The text of the page at `path`."""
        return self._shown(self.browser.get(path))

    def sends(self, path: str, **fields: str) -> str:
        """Send a form of the page that is shown. Returns the text of the page that comes."""
        return self._shown(self.browser.post(path, data={**self.hidden(), **fields}))

    def hidden(self) -> dict[str, str]:
        """What every form of this page carries."""
        return {name: value for name in ("token", "once") if (value := self.value(name))}

    def value(self, name: str) -> str:
        """The value of the first field of this name."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.source)
        return html.unescape(found[1]) if found else ""

    @property
    def title(self) -> str:
        """The page's heading."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.source, re.DOTALL)
        return text_of(found[1]) if found else ""

    @property
    def text(self) -> str:
        """All that can be read on the page."""
        return text_of(self.source)

    def _shown(self, response: Response) -> str:
        self.status = response.status_code
        self.source = response.text
        self.content_type = response.headers.get("content-type", "")
        return self.text


def text_of(source: str) -> str:
    """A page's source as it reads: without tags, and with single blanks."""
    apart = re.sub(_INLINE, "", source)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", apart)).split())


@contextlib.contextmanager
def person(
    service: str, user: str = "", *, any_user: bool = False, access: Access | None = None
) -> Iterator[Person]:
    """Somebody at the console of `user`, or at that of an operator, with `access`."""
    access = access or Access()
    serving = Serving(service, user or None, any_user, timeout_s=20, access=access)
    with TestClient(serving.app(ADDRESS, 8780), base_url="http://localhost:8780") as browser:
        yield Person(browser)
