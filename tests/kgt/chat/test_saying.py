"""What a line is taken for, and which answer a correction gives."""

from __future__ import annotations

import pytest

from kgt.chat.saying import (
    Command,
    Correction,
    Message,
    answer_in,
    meaning,
    needs_context,
    rest_of_sentence,
)


@pytest.mark.parametrize(
    "line",
    [
        "What does my dog eat?",
        "what does my dog eat",
        "how old is my son",
        "which car do I drive",
        "who is my boss",
        "What\u2019s my name",
        "do I like jazz",
        "is my sister a nurse",
        "Tell me about my job",
        "No, what does my dog eat?",
        "Really?",
    ],
)
def test_what_asks_is_a_question(line: str) -> None:
    assert meaning(f" {line}\n") == Message("", line)


@pytest.mark.parametrize(
    "line",
    [
        "My dog is named Rex.",
        "When I was young I lived in Rome.",
        "What I like is jazz.",
        "Will is my brother.",
        "Nobody likes me",
        "No one likes me",
        "No-one likes me",
        "Actual facts only, please.",
        "vegetables",
        "Hello!",
    ],
)
def test_what_does_not_ask_is_a_statement(line: str) -> None:
    assert meaning(line) == Message(line, "")


def test_a_line_may_state_and_ask() -> None:
    said = meaning("Hi! My dog is named Rex. What does he eat? He is nine.")
    assert said == Message("Hi! My dog is named Rex. He is nine.", "What does he eat?")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("no, vegetables", "vegetables"),
        ("No! Vegetables.", "Vegetables."),
        ("nope: fish", "fish"),
        ("no - fish", "fish"),
        ("no he eats fish", "he eats fish"),
        ("that\u2019s wrong, it is fish", "it is fish"),
        ("That is not true. I hate fish", "I hate fish"),
        ("Actually, fish", "fish"),
        ("actually I moved", "I moved"),
        ("no", ""),
        ("No.", ""),
    ],
)
def test_what_begins_with_no_corrects(line: str, text: str) -> None:
    assert meaning(line) == Correction(text)


@pytest.mark.parametrize(("line", "name"), [("/why", "why"), (" /Quit ", "quit"), ("/", "")])
def test_what_begins_with_a_slash_is_a_command(line: str, name: str) -> None:
    assert meaning(line) == Command(name)


@pytest.mark.parametrize(
    ("question", "correction", "answer"),
    [
        ("What does my dog eat?", "vegetables", "vegetables"),
        ("What does my dog eat?", "he eats only vegetables.", "only vegetables"),
        ("What does my dog eat?", "my dog eats fish now", "fish"),
        ("What does my dog eat?", "it's fish", "fish"),
        ("Where do I live?", "I live in The Hague", "The Hague"),
        ("Where do I live?", "The Hague", "The Hague"),
        ("What do I do for work?", "a nurse", "a nurse"),
        ("What's my favorite color?", "my favorite color is dark green!", "dark green"),
        ("What is my sister called?", "her name is Ida", "Ida"),
        ("What is my sister called?", "she\u2019s called Ida Maria", "Ida Maria"),
        ("Who is my best friend?", "my brother Thomas Miller", "my brother Thomas Miller"),
        ("How old is my son?", "he is nine", "nine"),
        ("What am I allergic to?", "I'm allergic to peanuts", "peanuts"),
        ("When is my birthday?", "it's in May", "May"),
        ("", "vegetables", "vegetables"),
    ],
)
def test_an_answer_is_what_a_correction_says_beyond_the_question(
    question: str, correction: str, answer: str
) -> None:
    assert answer_in(correction, question) == answer


@pytest.mark.parametrize(
    ("question", "correction"),
    [
        ("What does my dog eat?", "he is named Max"),
        ("What does my dog eat?", "he does not eat meat"),
        ("What does my dog eat?", "he doesn't eat meat"),
        ("What does my dog eat?", "fish. And he is called Max"),
        ("What does my dog eat?", "my dog is named Max"),
        ("What does my dog eat?", "my dog likes fish"),
        ("Where does my sister live?", "my mother lives in Porto"),
        ("Where does my mother live?", "she moved to Porto"),
        ("Where does my mother live?", "I'm joking"),
        ("Who is my boss?", "Clara is my boss"),
        ("", "he eats only vegetables"),
    ],
)
def test_a_sentence_of_its_own_is_not_an_answer(question: str, correction: str) -> None:
    assert answer_in(correction, question) is None


@pytest.mark.parametrize(
    ("correction", "rest"),
    [
        ("she moved to Porto", "Porto"),
        ("he eats only vegetables", "only vegetables"),
        ("he eats fish now.", "fish"),
        ("Clara is my boss", None),
        ("I lied", None),
        ("he never eats fish", None),
    ],
)
def test_the_rest_of_a_sentence_follows_a_pronoun_and_its_verb(
    correction: str, rest: str | None
) -> None:
    assert rest_of_sentence(correction) == rest


def test_a_statement_with_a_pronoun_needs_what_was_said_before() -> None:
    assert needs_context("He likes carrots, too.")
    assert not needs_context("My dog likes carrots.")
