"""What an operator sees, and whose page it is."""

from __future__ import annotations

from pathlib import Path

from kgt.client import Client
from kgt.client.access import Access
from kgt.console.operating import SERVICE
from tests.kgt.conftest import Guarded
from tests.kgt.console.person import person


def test_health_times_and_versions_are_shown(service: str) -> None:
    with person(service, any_user=True) as one:
        text = one.opens("/service")
    assert f"Personalization {SERVICE} serving" in text
    assert text.count("answers") == 2
    assert "Model fixed" in text
    assert "reports no more than this" in text


def test_a_service_that_is_away_is_shown_as_that() -> None:
    with person("127.0.0.1:1", "alice") as one:
        text = one.opens("/service")
    assert one.status == 200
    assert "Server unavailable" in text
    assert "answers" not in text


def test_an_operator_names_whose_page_to_show(service: str) -> None:
    with Client(service) as kgt:
        kgt.edit_facts(user="shown", add=[("I", "likes", "tea")])
    with person(service, any_user=True) as one:
        one.opens("/")
        assert one.title == "Whose page?"
        assert "tea" in one.sends("/user", user=" shown ")
        assert "for shown Change" in one.text
        one.opens("/user")
        assert "tea" not in one.sends("/user", user="another")


def test_a_form_for_one_user_is_refused_after_another_was_named(service: str) -> None:
    with person(service, any_user=True) as one:
        one.opens("/user")
        one.sends("/user", user="first")
        form = {**one.hidden(), "text": "My dog is named Rex.", "do": "tell"}
        one.opens("/user")
        one.sends("/user", user="second")
        assert one.browser.post("/tell", data=form).status_code == 403
        assert "Nothing yet" in one.opens("/")


def test_a_page_for_one_user_shows_no_other(service: str) -> None:
    with person(service, "only") as one:
        one.opens("/user")
        assert one.title == "What KGT knows about you"
        one.sends("/user", user="shown")
        assert "for only" in one.opens("/")


def test_one_users_token_is_enough_for_the_page_about_the_service(guarded: Guarded) -> None:
    with person(guarded.address, "owner", access=guarded.access("owner")) as one:
        text = one.opens("/service")
    assert "Server serving" in text
    assert f"{SERVICE} shown only to operators" in text
    assert text.count("answers") == 2


def test_an_operator_with_the_rights_sees_and_shows_everything(guarded: Guarded) -> None:
    access = guarded.access("watch", "kgt.operator", "kgt.any_user")
    with person(guarded.address, any_user=True, access=access) as one:
        text = one.opens("/service")
        assert f"{SERVICE} serving" in text
        assert text.count("answers") == 2
        one.opens("/user")
        assert "for somebody Change" in one.sends("/user", user="somebody")
        assert one.status == 200


def test_a_token_that_cannot_be_read_is_shown_as_that(guarded: Guarded, tmp_path: Path) -> None:
    access: Access = {**guarded.access(None), "token": tmp_path / "none"}
    with person(guarded.address, "owner", access=access) as one:
        text = one.opens("/service")
    assert "Server unauthenticated" in text
    assert text.count("no token can be read") == 2
