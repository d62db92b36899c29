"""The history, single changes, and undoing them."""

from __future__ import annotations

import re

import pytest

from kgt.client import Client
from kgt.console import history
from tests.kgt.console.person import person
from tests.rpc.running import FEED


def test_each_change_is_listed_with_its_before_and_after(service: str) -> None:
    with Client(service) as kgt:
        first = kgt.personalize(user="historian", query=FEED, answer="carrots")
        kgt.revert_edit(user="historian", edit_id=first.edit.id)
        kgt.edit_facts(user="historian", add=[("I", "likes", "tea")])
    with person(service, "historian") as one:
        text = one.opens("/history")
        kinds = re.findall(r"(Entered as facts|Undo|Correction), change (\d)", text)
        assert kinds == [("Entered as facts", "3"), ("Undo", "2"), ("Correction", "1")]
        assert "Took back change 1." in text
        assert "It was answered: meat You said: carrots" in text
        text = one.opens(f"/history/{first.edit.id}")
        assert one.title == "Change 1"
        assert f"You asked: {FEED}" in text


def test_a_change_is_undone_exactly(service: str) -> None:
    with Client(service) as kgt:
        kgt.personalize(user="undoer", query=FEED, answer="carrots")
    with person(service, "undoer") as one:
        one.opens("/history")
        text = one.sends("/undo", edit_id=one.value("edit_id"))
        assert one.title == "Undone"
        assert "Added: dog desires meat" in text
        assert "Nothing yet" in one.opens("/")


def test_what_later_changes_rely_on_is_left_only_on_request(service: str) -> None:
    with Client(service) as kgt:
        first = kgt.edit_facts(user="stacker", add=[("I", "likes", "tea"), ("I", "likes", "jazz")])
        later = kgt.edit_facts(user="stacker", remove=[("I", "likes", "tea")])
    with person(service, "stacker") as one:
        one.opens("/history")
        one.sends("/undo", edit_id=first.edit.id)
        assert (one.status, one.title) == (409, "Later changes rely on this one")
        assert f'href="/history/{later.edit.id}"' in one.source
        text = one.sends("/undo", edit_id=first.edit.id, skip_conflicts="yes")
        assert one.title == "Undone"
        assert "Later changes rely on these: you: desires tea" in text


@pytest.mark.parametrize("path", ["/history/e-1", "/history/..%2Fdata"])
def test_a_change_of_nobody_is_not_there(service: str, path: str) -> None:
    with person(service, "historian") as one:
        one.opens(path)
    assert one.status == 404


def test_another_users_change_is_neither_shown_nor_undone(service: str) -> None:
    with Client(service) as kgt:
        theirs = kgt.edit_facts(user="neighbour", add=[("I", "likes", "secrets")]).edit.id
    with person(service, "nosy") as one:
        one.opens(f"/history/{theirs}")
        assert one.status == 404
        one.opens("/")
        one.sends("/undo", edit_id=theirs)
        assert one.status == 404
        assert "secrets" not in one.text


def test_an_old_change_is_found_on_a_later_page(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_SEARCHED_EDITS", 2)
    monkeypatch.setattr(history, "PAGE_EDITS", 2)
    with Client(service) as kgt:
        ids = [
            kgt.edit_facts(user="elder", add=[("I", "likes", f"song {n}")]).edit.id
            for n in range(5)
        ]
    with person(service, "elder") as one:
        assert "song 0" in one.opens(f"/history/{ids[0]}")
        one.opens("/history")
        [older] = re.findall(r'href="(/history\?page=[^"]+)"', one.source)
        text = one.opens(older)
    assert "song 2" in text
    assert "song 4" not in text
