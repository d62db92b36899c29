"""Foreign names and foreign pages are refused, and the pages' headers keep scripts out."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from kgt.console.guard import Guard


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


BROWSER = TestClient(
    Guard(
        Starlette(routes=[Route("/", hello, methods=["GET", "POST"])]),
        ["127.0.0.1", "kgt.example"],
    ),
    base_url="http://localhost:8780",
)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8780", "127.0.0.1:9", "[::1]:8780", "192.0.2.7", "kgt.example:443"],
)
def test_own_names_and_addresses_are_served(host: str) -> None:
    assert BROWSER.get("/", headers={"Host": host}).text == "hello"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1"],
)
def test_a_name_that_leads_here_from_elsewhere_is_refused(host: str) -> None:
    response = BROWSER.get("/", headers={"Host": host})
    assert response.status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_changes_nothing(headers: dict[str, str]) -> None:
    assert BROWSER.post("/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost:8780", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://kgt.example", "Host": "kgt.example"},
    ],
)
def test_an_own_page_may(headers: dict[str, str]) -> None:
    assert BROWSER.post("/", headers=headers).text == "hello"


def test_no_inline_script_no_frame_and_no_copy_of_a_page() -> None:
    headers = BROWSER.get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
