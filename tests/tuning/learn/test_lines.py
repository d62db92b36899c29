"""The lines that a model writes for a message: read to the letter, whatever they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.tuning.learn.lines import MOST_LINES, Line, Lines, read_lines
from training.messages import read_messages

NURSE = Line(True, "I", "works as", "nurse")
JAZZ = Line(False, "I", "likes", "jazz")


def test_facts_come_and_go() -> None:
    written = " + I | works as | nurse <sep> - I | likes | jazz"
    assert read_lines(written) == Lines((NURSE, JAZZ), ())
    assert read_lines("+ I | works as | nurse\n-I|likes|jazz") == Lines((NURSE, JAZZ), ())
    assert read_lines("+ I | works as | nurse <sep> + I | works as | nurse").read == (NURSE,)


@pytest.mark.parametrize("written", ["", " none", "None.", "none <sep> none", "<sep>", "\n\n"])
def test_nothing_is_said(written: str) -> None:
    assert read_lines(written) == Lines((), ())


@pytest.mark.parametrize(
    "written",
    [
        "I | works as | nurse",
        "* I | works as | nurse",
        "+ I | works as nurse",
        "+ I | works as | nurse | at night",
        "+ I | | nurse",
        "+ | works as | nurse",
        "+",
        "++",
        "The user is a nurse.",
        '{"subject": "I"}',
    ],
)
def test_what_is_of_another_form_is_not_read(written: str) -> None:
    assert read_lines(written) == Lines((), (written,))
    assert read_lines(f"{written} <sep> + I | works as | nurse") == Lines((NURSE,), (written,))


def test_the_last_line_of_a_text_that_was_cut_is_not_read() -> None:
    lines = read_lines("+ I | works as | nurse <sep> - I | likes | ja", whole=False)
    assert lines == Lines((NURSE,), ("- I | likes | ja",))


def test_a_model_that_does_not_stop_is_not_followed() -> None:
    written = " <sep> ".join(f"+ I | has | {number}" for number in range(100))
    lines = read_lines(written)
    assert len(lines.read) == MOST_LINES
    assert len(lines.unread) == 100 - MOST_LINES


@given(st.text() | st.text("+-|<sep> \nab"))
def test_whatever_is_written_is_read_or_told(written: str) -> None:
    lines = read_lines(written)
    for line in lines.read:
        assert all(part and "|" not in part for part in (line.subject, line.relation, line.object))
    assert all(text.strip() for text in lines.unread)


def test_what_the_model_was_taught_to_write_is_of_this_form() -> None:
    for message in read_messages():
        lines = read_lines(" <sep> ".join(message.facts) or "none")
        assert (len(lines.read), lines.unread) == (len(set(message.facts)), ())
