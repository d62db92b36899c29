"""CONTRIBUTING.md names files in order. They are there, and each list has what a newcomer needs."""

from __future__ import annotations

import re

import pytest

from tests.named_files import ROOT, missing, named_in

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL))
LISTS = {title: text for title, text in SECTIONS.items() if title.startswith("To add ")}


def test_there_is_a_list_for_everything_that_is_added_often() -> None:
    things = (
        "an RPC",
        "a store",
        "a relation",
        "a kind of question",
        "a setting",
        "a loader format",
        "an error",
        "a system to the paper's tables",
    )
    assert list(LISTS) == [f"To add {thing}" for thing in things]


@pytest.mark.parametrize("title", SECTIONS)
def test_the_files_that_a_section_names_are_there(title: str) -> None:
    assert missing(named_in(SECTIONS[title])) == []


@pytest.mark.parametrize("title", LISTS)
def test_a_list_is_numbered_and_names_files_in_each_step(title: str) -> None:
    steps = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", LISTS[title], re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    for number, step in steps:
        assert named_in(step), f"step {number} names no file"


def test_every_top_level_folder_has_its_place() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"server", "proto"}
    named = {path.partition("/")[0] for path, _ in named_in(SECTIONS["Where things live"])}
    assert folders - named == set()


def test_a_file_that_is_gone_is_found() -> None:
    assert missing([("kgt/gone.py", ""), ("kgt/errors.py", ""), ("kgt/errors.py", "Gone")]) == [
        "kgt/gone.py",
        "kgt/errors.py: Gone",
    ]
    assert missing([("server/stores/NAME/", ""), ("no/NAME.py", "")]) == ["no/NAME.py"]
