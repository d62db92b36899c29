"""No text that a user wrote can move the cursor, reverse a line, or break a page."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any, cast

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import Parse
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from kgt.__main__ import main
from kgt.output import visible, visible_json
from kgt.v1 import personalization_pb2 as pb
from tests.kgt.scripted_server import RPCS, Script, scripted_server

NASTY = (
    "\x1b]0;PWNED\x07\x00\x08\r\n\t\x7f\x9b31m\u202egnp.exe\u2066\u200e\ufeff\u200b\u2028"
    " [red]x[/red] [/] [bold :smile:"
)
SHOWN = (
    r"\x1b]0;PWNED\x07\x00\x08\r\n\t\x7f\x9b31m\u202egnp.exe\u2066\u200e\ufeff\u200b\u2028"
    " [red]x[/red] [/] [bold :smile:"
)
COMMANDS = {
    "personalize": ["q", "a"],
    "answer": ["q"],
    "retrieve": ["q"],
    "neighborhood": ["c"],
    "facts": [],
    "edit": [],
    "edits": [],
    "revert": ["e"],
    "import": ["FILE"],
    "erase": ["--yes"],
}
YEAR_287396 = 9_007_199_254_740
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def filled(kind: type[Message], text: str = NASTY, depth: int = 4) -> Any:
    """A message with `text` in every field that is one, and something in every other."""
    message = kind()
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        return kind(seconds=YEAR_287396)
    for field in message.DESCRIPTOR.fields:
        value: Any = {
            FieldDescriptor.CPPTYPE_STRING: text,
            FieldDescriptor.CPPTYPE_BOOL: True,
            FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
            FieldDescriptor.CPPTYPE_FLOAT: 0.5,
        }.get(field.cpp_type, 1)
        if field.message_type is not None:
            if depth == 0 or field.message_type.GetOptions().map_entry:
                continue
            value = filled(GetMessageClass(cast(Descriptor, field.message_type)), text, depth - 1)
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                getattr(message, field.name).CopyFrom(value)
        elif field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


@pytest.fixture
def script() -> Script:
    return Script(responses={rpc.name: [filled(getattr(pb, rpc.output_type.name))] for rpc in RPCS})


@pytest.fixture
def shown(script: Script, tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    file = tmp_path / "overlay.jsonl"
    file.write_text("{}\n")

    def run(command: str, *arguments: str, status: int = 0) -> str:
        with scripted_server(script) as address:
            given = [
                str(file) if a == "FILE" else a for a in (*COMMANDS.get(command, []), *arguments)
            ]
            assert main([command, "-u", "alice", "--server", address, *given]) == status
        printed = capfd.readouterr()
        return printed.err if status else printed.out

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_gets_nothing_to_obey(shown: Callable[..., str], command: str) -> None:
    printed = shown(command)
    assert OBEYED.findall(printed) == []
    if command != "erase":  # it shows only numbers
        assert SHOWN.partition("[red]")[0].partition(r"\r")[0] in printed.replace("\\\\", "\\")


@pytest.mark.parametrize("command", COMMANDS)
def test_json_stays_json_and_has_nothing_to_obey(
    shown: Callable[..., str], command: str, script: Script
) -> None:
    printed = shown(command, "--json")
    assert printed.count("\n") == 1
    assert OBEYED.findall(printed) == []
    (rpc,) = (r for r in RPCS if r.name in script.responses and command_of(r.name) == command)
    parsed = Parse(printed, getattr(pb, rpc.output_type.name)())
    expected = script.responses[rpc.name][0]
    assert without_times(parsed) == without_times(expected)


def command_of(rpc: str) -> str:
    named = {
        "GetNeighborhood": "neighborhood",
        "ListFacts": "facts",
        "EditFacts": "edit",
        "ListEdits": "edits",
    }
    return named.get(rpc, re.sub(r"(?<!^)[A-Z].*", "", rpc).lower())


def without_times(message: Any) -> Any:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.full_name == "google.protobuf.Timestamp":
            message.ClearField(field.name)
        else:
            for inner in value if field.is_repeated else [value]:
                without_times(inner)
    return message


def test_markup_in_users_texts_is_text(shown: Callable[..., str]) -> None:
    assert "[red]x[/red] [/] [bold :smile:" in shown("facts")


def test_a_line_of_a_page_stays_one_line(shown: Callable[..., str]) -> None:
    assert len(shown("facts").splitlines()) == 3, (
        "names of columns, a fact, and the token of the next page"
    )


def test_an_answer_of_several_lines_is_shown_so(shown: Callable[..., str], script: Script) -> None:
    script.responses["Answer"] = [pb.AnswerResponse(text="one\ntwo\x1b[2J")]
    assert shown("answer").startswith("one\ntwo\\x1b[2J\n")


def test_a_server_s_message_is_one_line(shown: Callable[..., str], script: Script) -> None:
    script.failures, script.code, script.details = (
        1,
        grpc.StatusCode.NOT_FOUND,
        "no [red]x[/red]\x1b[2J\u202e\nnew",
    )
    printed = shown("facts", status=1)
    assert printed == "kgt: NotFound: no [red]x[/red]\\x1b[2J\\u202e\\nnew\n"


@pytest.mark.parametrize("command", ["facts", "edits"])
def test_a_time_that_no_calendar_has_does_not_break_a_page(
    shown: Callable[..., str], command: str
) -> None:
    assert f"{YEAR_287396} s after 1970" in shown(command)
    assert "create_time" not in shown(command, "--json")


def test_an_edit_that_cannot_be_read_is_shown_as_that(
    shown: Callable[..., str], script: Script
) -> None:
    edit = pb.Edit(id="e-1", revision=7, kind=pb.EDIT_KIND_UNREADABLE)
    script.responses["ListEdits"] = [
        pb.ListEditsResponse(edits=[edit, pb.Edit(id="e-0", revision=6)])
    ]
    lines = shown("edits").splitlines()
    assert re.search(r"^revision 7 .* unreadable  e-1$", lines[0])
    assert re.search(r"^revision 6 .*  e-0$", lines[1])


def test_an_edit_too_large_to_be_shown_whole_says_so(
    shown: Callable[..., str], script: Script
) -> None:
    script.responses["ListEdits"] = [
        pb.ListEditsResponse(edits=[pb.Edit(id="e-1", revision=7, triples_left_out=9)])
    ]
    assert "and 9 triples more, which only an export shows" in shown("edits")


def test_an_edit_of_a_kind_that_is_new_is_shown(shown: Callable[..., str], script: Script) -> None:
    edit = pb.Edit(id="e-1", revision=7)
    edit.kind = 99  # type: ignore[assignment]
    script.responses["ListEdits"] = [pb.ListEditsResponse(edits=[edit])]
    assert re.search(r"^revision 7 .* 99  e-1$", shown("edits").splitlines()[0])


@given(st.text())
def test_what_is_visible_is_obeyed_by_nothing_and_escaped_once(text: str) -> None:
    seen = visible(text)
    assert all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in seen)
    assert OBEYED.search(seen) is None
    assert visible(seen) == seen
    assert json.loads(visible_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize(
    "text", ["Zoë", "緑茶", "👩\u200d👧", "می\u200cخواهم", "क\u200dष", "a\u00a0b", "\\x1b"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
