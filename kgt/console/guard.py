"""Which requests are let in, and what browsers may do with the pages.

A page of another site can make a browser send requests here. It cannot choose their Host, unless
its own name leads to this machine (DNS rebinding), nor their Origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READS = frozenset(["GET", "HEAD"])
_OF_THIS_PAGE = frozenset(["", "same-origin", "none"])
"""Values of Sec-Fetch-Site: from an old browser, from a page of ours, or typed by the user."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With no-referrer, browsers would send the Origin of forms as "null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Refuses requests under foreign names or from foreign pages, and sets the pages' headers."""

    def __init__(self, app: ASGIApp, host_names: Iterable[str]) -> None:
        """`host_names` are names of this server besides localhost and IP addresses.

        An IP address in Host is safe: no one can make another site's name of it.
        """
        self._app = app
        self._names = {"localhost", *(name.lower().rstrip(".") for name in host_names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return PlainTextResponse(
                "This page is not served under this name. Open it as localhost, or start it with"
                " --host-name NAME.\n",
                421,
            )
        if method in _READS:
            return None
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign or headers.get("sec-fetch-site", "") not in _OF_THIS_PAGE:
            return PlainTextResponse("Another site may not change anything here.\n", 403)
        return None

    def _is_ours(self, host: str) -> bool:
        name = (_name_in(host) or "").rstrip(".")
        return name in self._names or _is_ip(name)


def _name_in(host: str) -> str | None:
    """The name or IP address in a Host header, without a port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
