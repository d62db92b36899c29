"""Sessions, and the tokens of forms."""

from __future__ import annotations

import pytest

from kgt.console.visit import FormTokens
from tests.kgt.console.person import person


def test_a_token_fits_only_its_session_and_its_process() -> None:
    tokens, others = FormTokens("one secret"), FormTokens("another")
    mine: dict[str, str] = {}
    yours: dict[str, str] = {}
    token = tokens.of(mine)
    assert tokens.of(mine) == token
    assert tokens.fits(mine, token)
    assert not tokens.fits(yours, token)
    tokens.of(yours)
    assert not tokens.fits(yours, token)
    assert not others.fits(mine, token)
    for wrong in ("", token[:-1], token + "a", "ü"):
        assert not tokens.fits(mine, wrong)


def test_the_session_is_out_of_reach_of_scripts_and_other_sites(service: str) -> None:
    with person(service, "alice") as one:
        cookie = one.browser.get("/ask").headers["set-cookie"].lower()
    assert cookie.startswith("kgt_console_8780=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age" not in cookie


@pytest.mark.parametrize("path", ["/tell", "/ask", "/correct", "/undo", "/fact", "/erase", "/user"])
def test_no_form_is_accepted_without_its_token(service: str, path: str) -> None:
    fields = {"text": "My dog is named Rex.", "user": "x", "confirmation": "careful"}
    with person(service, "careful") as one:
        one.opens("/")
        for token in ({}, {"token": ""}, {"token": "made up"}):
            response = one.browser.post(path, data={**fields, **token})
            assert response.status_code == 403
            assert "This form cannot be accepted" in response.text
        one.browser.cookies.clear()
        one.sends(path, **fields)
        assert one.status == 403, "a token without its session"
        assert "Nothing yet" in one.opens("/")


def test_every_form_carries_a_token(service: str) -> None:
    with person(service, "careful") as one:
        for path in ("/", "/ask", "/data", "/history"):
            one.opens(path)
            assert one.source.count("<form") == one.source.count('name="token"')


def test_a_body_without_a_length_is_refused(service: str) -> None:
    with person(service, "careful") as one:
        response = one.browser.post("/tell", content=iter([b"text=hello"]))
    assert response.status_code == 411
