"""The page of facts, and single facts forgotten and brought back."""

from __future__ import annotations

import re

from kgt.client import Client
from kgt.console.facts import PAGE_FACTS, subjects
from kgt.v1 import personalization_pb2 as pb
from tests.kgt.console.person import person, text_of
from tests.rpc.running import FEED


def sections(source: str) -> dict[str, str]:
    """The text of each part of the page, by the id of its heading."""
    parts = re.split(r'<section aria-labelledby="(\w+)">', source)
    return dict(zip(parts[1::2], map(text_of, parts[2::2]), strict=True))


def test_who_told_nothing_is_told_how_to_begin(service: str) -> None:
    with person(service, "newcomer") as one:
        text = one.opens("/")
    assert one.title == "What KGT knows about you"
    assert "Nothing yet" in text
    assert 'class="graph"' not in one.source


def test_personal_and_removed_facts_are_apart_each_with_its_reason(service: str) -> None:
    with Client(service) as kgt:
        kgt.personalize(user="grouper", query=FEED, answer="carrots")
        kgt.learn(user="grouper", text="My dog is named Rex.")
    with person(service, "grouper") as one:
        one.opens("/")
        parts = sections(one.source)
    told, removed = parts["told"], parts["removed"]
    assert "desires carrots" in told
    assert "is named Rex" in told
    assert "You said: My dog is named Rex." in told
    assert f"You asked: {FEED}" in told
    assert re.search(r"comes up when asked 0% →, then \d\d%", told)
    assert "desires meat" in removed
    assert "meat" not in told.partition("desires carrots")[0]


def test_what_is_about_the_user_comes_first() -> None:
    facts = [
        pb.PersonalFact(triple=pb.Triple(head=head, relation="is", tail="x"))
        for head in ("dog", "I", "Lisbon", "dog")
    ]
    found = subjects(facts)
    assert [subject.concept for subject in found] == ["I", "dog", "Lisbon"]
    assert len(found[1].facts) == 2


def test_what_surrounds_a_subject_is_listed_with_its_origin(service: str) -> None:
    with Client(service) as kgt:
        kgt.personalize(user="viewer", query=FEED, answer="carrots")
    with person(service, "viewer") as one:
        text = one.opens("/?about=dog")
    listed = re.findall(r'<li data-origin="(\w+)"[^>]*data-tail="([^"]*)"', one.source)
    assert {("yours", "carrots"), ("removed", "meat"), ("shared", "bones")} <= set(listed)
    assert "Around dog" in text


def test_one_fact_of_a_change_is_forgotten_and_one_is_brought_back(service: str) -> None:
    with Client(service) as kgt:
        kgt.edit_facts(user="chooser", add=[("I", "likes", "tea"), ("I", "likes", "jazz")])
        kgt.personalize(user="chooser", query=FEED, answer="carrots")
    with person(service, "chooser") as one:
        assert "Undo the whole change" in one.opens("/")
        one.sends("/fact", do="forget", head="I", relation="Desires", tail="tea")
        assert one.title == "Changed"
        text = one.opens("/")
        assert "jazz" in text
        assert "tea" not in text
        one.sends("/fact", do="bring back", head="dog", relation="Desires", tail="meat")
        assert "You removed" not in one.opens("/")
        one.sends("/fact", do="something", head="dog", relation="Desires", tail="meat")
        assert one.status == 400


def test_many_facts_are_on_several_pages(service: str) -> None:
    with Client(service) as kgt:
        triples = [("I", "likes", f"song {n}") for n in range(PAGE_FACTS + 1)]
        kgt.edit_facts(user="collector", add=triples)
    with person(service, "collector") as one:
        one.opens("/")
        [older] = re.findall(r'href="(/\?page=[^"]+)"', one.source)
        text = one.opens(older)
        assert one.status == 200
        assert len(re.findall('class="fact new"', one.source)) == 1
        assert "Newest" in text
        one.opens("/?page=of-nobody")
        assert (one.status, one.title) == (404, "Not there")
