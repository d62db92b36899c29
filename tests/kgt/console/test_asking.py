"""A question asked, with what its answer rests on."""

from __future__ import annotations

from kgt.client import Client
from tests.kgt.console.person import person
from tests.rpc.running import FEED


def test_an_answer_shows_what_it_rests_on_and_can_be_compared(service: str) -> None:
    with Client(service) as kgt:
        kgt.personalize(user="asker", query=FEED, answer="carrots")
    with person(service, "asker") as one:
        one.opens("/ask")
        text = one.sends("/ask", query=FEED, compare="yes")
        assert one.title == "carrots"
        assert "Without what you told: meat" in text
        assert "dog desires carrots yours" in text
        assert one.value("answer_before") == "carrots"
        assert "Without what you told" not in one.sends("/ask", query=FEED).replace(
            "answer without what you told", ""
        )


def test_a_question_that_no_fact_fits_says_so(service: str) -> None:
    with person(service, "asker") as one:
        one.opens("/ask")
        text = one.sends("/ask", query="What does a unicorn enjoy?")
    assert "No fact fits this question" in text


def test_nothing_is_asked_with_an_empty_question(service: str) -> None:
    with person(service, "asker") as one:
        one.opens("/ask")
        one.sends("/ask", query="  ")
    assert (one.status, one.title) == (200, "Ask")
