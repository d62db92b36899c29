"""What users wrote is text on every page, and what is served is what the package has."""

from __future__ import annotations

import pytest

from kgt.client import Client
from tests.kgt.console.person import person
from tests.rpc.running import FEED

SCRIPT = "</script><script>hacked=1</script>"
MARKUP = '<img src=x onerror="hacked=1">'
TEMPLATE = "{{ 1234567 * 3 }}"
USER = f"<i>{TEMPLATE}</i>"


def test_markup_and_scripts_are_shown_as_text_wherever_users_wrote_them(service: str) -> None:
    with Client(service) as kgt:
        kgt.edit_facts(
            user=USER,
            add=[
                (MARKUP, "is <b>bold</b>", SCRIPT),
                ("dog", "has a", MARKUP),
                ("I", "has a", SCRIPT),
            ],
        )
        kgt.personalize(user=USER, query=FEED, answer=MARKUP)
        told = kgt.learn(user=USER, text=f"My dog is named {SCRIPT}.")
    with person(service, USER) as one:
        shown = [
            one.opens(path) and one.source
            for path in ("/", "/?about=dog", f"/?about={MARKUP}", "/history", "/data", "/service")
        ]
        shown.append(one.opens(f"/history/{told.edit.id}") and one.source)
        one.opens("/ask")
        shown.append(one.sends("/ask", query=f"{FEED} {MARKUP}", compare="yes") and one.source)
        shown.append(
            one.sends("/tell", text=f"{SCRIPT} is named {MARKUP}", do="try") and one.source
        )
        shown.append(
            one.sends("/correct", query=FEED, answer=SCRIPT, answer_before=MARKUP) and one.source
        )
        assert SCRIPT in one.text
    for source in shown:
        assert "<img" not in source
        assert source.count("<script") == 3, "only those of the package"
        assert "<b>bold" not in source
        assert "3703701" not in source
        assert "<i>" not in source


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("htmx.min.js", "text/javascript"),
        ("cytoscape.min.js", "text/javascript"),
        ("graph.js", "text/javascript"),
        ("console.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_scripts_and_styles_come_from_the_package(service: str, file: str, kind: str) -> None:
    with person(service, "alice") as one:
        response = one.browser.get(f"/static/{file}")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["cache-control"] == "no-cache"


def test_no_page_names_another_server(service: str) -> None:
    with person(service, "alice") as one:
        for path in ("/", "/ask", "/history", "/data", "/service"):
            one.opens(path)
            assert "://" not in one.source
            assert "style=" not in one.source
