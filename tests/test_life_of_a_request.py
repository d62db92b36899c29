"""docs/life-of-a-request.md names files and functions in their order. They are all there."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from tests.named_files import ROOT, missing, named_in

PAGE = (ROOT / "docs" / "life-of-a-request.md").read_text(encoding="utf-8")
PICTURES = sorted((ROOT / "docs").glob("*.dot"))


def test_every_file_and_function_that_the_page_names_is_there() -> None:
    named = named_in(PAGE)
    assert len(named) > 30
    assert missing(named) == []


def test_every_step_names_a_function() -> None:
    steps = re.findall(r"^\| `([^|]*)` \|", PAGE, re.MULTILINE)
    assert len(steps) > 30
    assert [step for step in steps if ": " not in step] == []


@pytest.mark.parametrize("text", PICTURES, ids=lambda path: str(path.name))
def test_a_picture_says_what_its_text_says(text: Path) -> None:
    """`make picture` was run after the last change of a label."""
    picture = html.unescape(text.with_suffix(".svg").read_text(encoding="utf-8"))
    drawn = {label.strip() for label in re.findall(r"<text[^>]*>([^<]*)</text>", picture)}
    for label in re.findall(r'label="([^"]+)"', text.read_text(encoding="utf-8")):
        for line in label.split(r"\n"):
            assert line.strip() in drawn
