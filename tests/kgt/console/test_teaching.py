"""A sentence told, an answer corrected, and either tried first."""

from __future__ import annotations

import re

from kgt.client import Client
from tests.kgt.console.person import person
from tests.rpc.running import FEED, NAME


def test_what_was_understood_is_shown_with_what_it_replaces(service: str) -> None:
    with person(service, "speaker") as one:
        one.opens("/")
        text = one.sends("/tell", text="My dog is named Rex.", do="tell")
        assert one.title == "Learned"
        assert "my dog is named Rex" in text
        assert "Learned · from “My dog is named Rex.”" in text
        assert re.search(r"it answers “Rex”.*\d%.*\d\d%", text)
        text = one.sends("/tell", text="My dog is named Max.", do="tell")
        assert "instead of dog is named Rex" in text


def test_small_talk_teaches_nothing_and_says_so(service: str) -> None:
    with person(service, "talker") as one:
        one.opens("/")
        text = one.sends("/tell", text="Hello!", do="tell")
        assert one.title == "Nothing was learned"
        assert "no lasting fact" in text
        assert "No changes yet" in one.opens("/history")


def test_what_was_not_understood_is_shown_with_why(service: str) -> None:
    with person(service, "mumbler") as one:
        one.opens("/")
        text = one.sends("/tell", text="He is named Rex.", do="tell")
    assert one.title == "Nothing was learned"
    assert "“He is named Rex.”: it is not clear who is meant." in text


def test_what_is_tried_is_kept_only_on_request(service: str) -> None:
    with person(service, "trier") as one:
        one.opens("/")
        text = one.sends("/tell", text="My dog is named Rex.", do="try")
        assert one.title == "This is what KGT would learn"
        assert "Nothing has been saved yet" in text
        kept = {name: one.value(name) for name in ("text", "context")}
        one.sends("/tell", **kept, do="tell")
        assert one.title == "Learned"

        one.opens("/ask")
        one.sends("/correct", query=FEED, answer="carrots", do="try")
        assert one.title == "This is what would change"
        kept = {name: one.value(name) for name in ("query", "answer", "answer_before")}
        one.sends("/correct", **kept, do="correct")
        assert one.title == "Corrected"
        one.opens("/history")
        assert one.source.count('id="change-') == 2


def test_a_correction_shows_its_before_and_after(service: str) -> None:
    with person(service, "corrector") as one:
        one.opens("/ask")
        text = one.sends("/correct", query=FEED, answer="carrots", answer_before="meat")
        assert one.title == "Corrected"
        assert "Before meat After carrots" in text
        assert "Added: dog desires carrots" in text
        assert "Removed: dog desires meat" in text
        assert re.search(r"answered as you said \d+% →, then \d\d%", text)
        one.sends("/correct", query=FEED, answer="carrots")
        assert one.title == "Nothing had to change"


def test_a_form_sent_twice_is_one_change(service: str) -> None:
    with person(service, "doubler") as one:
        one.opens("/ask")
        form = {**one.hidden(), "query": NAME, "answer": "Rex"}
        first, second = (one.browser.post("/correct", data=form) for _ in range(2))
        assert (first.status_code, second.status_code) == (200, 200)
        one.browser.post("/correct", data={**form, "answer": "Max"})
    with Client(service) as kgt:
        edits = kgt.list_edits(user="doubler").edits
    assert [edit.answer for edit in edits] == ["Max", "Rex"], "changed in between, it is another"
