"""Plain sentences are learned by the default model, and come back in other words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.__main__ import load
from kgt.client import Client
from testbed.processes import server_process

pytestmark = [pytest.mark.story, pytest.mark.usefixtures("default_model")]


@pytest.fixture(scope="module")
def kgt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    data = tmp_path_factory.mktemp("data")
    load(None, data)
    with server_process("server", data) as server, Client(server.address) as client:
        yield client


@pytest.mark.parametrize(
    ("said", "query", "answer"),
    [
        (
            "We moved to Lisbon in May and my daughter is allergic to peanuts.",
            "Where do I live?",
            "Lisbon",
        ),
        ("I drive a blue Skoda.", "What car do I drive?", "Skoda"),
        ("My wife's name is Sofia.", "What is my wife called?", "Sofia"),
        ("I'm 34 years old.", "How old am I?", "34"),
        ("I like jazz.", "What music do I like?", "jazz"),
        ("I've got a new job at Siemens.", "Where do I work?", "Siemens"),
    ],
)
def test_what_is_told_is_answered(kgt: Client, said: str, query: str, answer: str) -> None:
    user = f"user {said}"
    assert kgt.learn(user=user, text=said).edit.added
    assert answer in kgt.answer(user=user, query=query).text


def test_what_is_over_is_taken_back_and_what_is_new_takes_its_place(kgt: Client) -> None:
    kgt.learn(user="ann", text="I drink coffee every morning. My boss is called Karen.")
    kgt.learn(user="ann", text="I don't drink coffee any more.")
    kgt.learn(user="ann", text="Actually my boss is now Miriam.")
    facts = {(f.triple.head, f.triple.tail) for f in kgt.list_facts(user="ann").facts}
    assert facts == {("boss", "Miriam")}
    assert "Miriam" in kgt.answer(user="ann", query="Who is my boss?").text


@pytest.mark.parametrize("said", ["What's my sister's name?", "Write a poem about autumn.", "lol"])
def test_where_nothing_is_said_nothing_is_learned(kgt: Client, said: str) -> None:
    assert not kgt.learn(user="bob", text=said).edit.added
