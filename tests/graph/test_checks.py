"""What texts, triples and edits from outside may be."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from server.errors import InvalidRequest
from server.graph.checks import (
    MAX_TEXT_BYTES,
    MAX_TIME_MS,
    checked_concept,
    checked_edit,
    checked_id,
    checked_relation,
    checked_relation_name,
    checked_text,
    checked_triple,
)
from server.graph.edit import Account, Change, Edit, EditKind, Scope, StopReason
from server.graph.triple import Mark, Origin, Stamp, Triple
from tests.graph import edits as made
from tests.graph.edits import VOCABULARY, packed_key


def test_texts_are_stripped_and_bounded() -> None:
    assert checked_text("  dog\n", "query", 10) == "dog"
    for text in ("", "   ", "x" * 11, "a\x00b", "ä" * 6):
        with pytest.raises(InvalidRequest, match="query"):
            checked_text(text, "query", 10)


def test_a_triples_limits_name_the_part() -> None:
    with pytest.raises(InvalidRequest, match=r"add\[0\]\.relation"):
        checked_triple("dog", "r" * 65, "x", "add[0]", VOCABULARY)
    with pytest.raises(InvalidRequest, match=r"add\[0\]\.tail"):
        checked_triple("dog", "IsA", "x" * 513, "add[0]", VOCABULARY)


# What is named must still name something

NAMES_NOTHING = [
    "",
    " ",
    "_",
    "___",
    " _ _",
    "...",
    "…",
    "?",
    "!!",
    "--",
    "()",
    "\u200b",
    "\ufeff",
    "\u00ad_",
    "\u3164",
    "\u2800",
]


@pytest.mark.parametrize("text", NAMES_NOTHING)
def test_a_text_that_names_no_concept_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_concept(text, "subject")
    assert refused.value.field == "subject"


@pytest.mark.parametrize(
    "text",
    [
        "C++",
        "#1",
        "-18",
        "a",
        "7",
        "+",
        "€",
        "%",
        "&",
        "👩",
        "👩\u200d👧",
        "✓",
        "中",
        "น",
        "D.C.",
        "hunter2;",
        "a_b",
        "(c)",
        "²",
    ],
)
def test_a_letter_a_digit_or_a_symbol_names_a_concept(text: str) -> None:
    assert checked_concept(text, "subject").key


def test_a_concepts_bytes_are_counted_as_it_is_stored() -> None:
    assert checked_concept("a" + " " * 600 + "b", "subject").text == "a b"
    for text in ("x" * 513, "ä" * 257, "\ufdfa" * 40):  # the last is 120 bytes, its key 1,320
        with pytest.raises(InvalidRequest, match="longer than 512 bytes"):
            checked_concept(text, "subject")


@pytest.mark.parametrize(
    "text",
    ["...", "!!", "1.", "()", '"', "- ", "_", "_ . _", "…", "+", "=>", "👍", "\u200b", " ", ""],
)
def test_a_relation_without_letters_and_digits_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_relation(text, "relation", VOCABULARY)
    assert refused.value.field == "relation"


def test_a_relations_bytes_are_counted_as_it_is_stored() -> None:
    assert checked_relation("1. " + "r" * 64 + "...", "relation", VOCABULARY) == "r" * 64
    with pytest.raises(InvalidRequest, match="longer than 64 bytes"):
        checked_relation("\u0390" * 32, "relation", VOCABULARY)  # 64 bytes, 192 casefolded
    with pytest.raises(InvalidRequest, match="longer than 64 bytes"):
        checked_relation("1. " * 1_000_000 + "likes", "relation", VOCABULARY)


def test_a_relation_that_the_base_uses_names_itself_whatever_it_is() -> None:
    vocabulary = VOCABULARY.with_base_names(["Owns", "=>"])
    assert checked_relation("Owns", "relation", vocabulary) == "Owns"
    assert checked_relation("=>", "relation", vocabulary) == "=>"


def test_a_loader_keeps_the_names_of_its_file() -> None:
    assert checked_relation_name(" Works_For ", "relation") == "Works_For"
    for text in ("...", "a\u200bb", "r" * 65, "a\x1bb"):
        with pytest.raises(InvalidRequest):
            checked_relation_name(text, "relation")


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\x9b", "\ud800"])
def test_control_characters_and_half_ones_are_refused_everywhere(char: str) -> None:
    text = f"ab{char}cd"
    for check in (
        lambda: checked_text(text, "f"),
        lambda: checked_id(text, "f"),
        lambda: checked_concept(text, "f"),
        lambda: checked_relation(text, "f", VOCABULARY),
    ):
        with pytest.raises(InvalidRequest) as refused:
            check()
        assert refused.value.field == "f"
        assert text not in str(refused.value)


@pytest.mark.parametrize("char", ["\u202a", "\u202e", "\u2066", "\u2069"])
def test_texts_may_change_the_direction_of_writing_and_names_may_not(char: str) -> None:
    for check in (
        checked_id,
        checked_concept,
        lambda text, field: checked_relation(text, field, VOCABULARY),
    ):
        with pytest.raises(InvalidRequest):
            check(f"ab{char}cd", "f")
    assert checked_text(f"ab{char}cd", "query")


def test_texts_may_have_lines_and_ids_may_not() -> None:
    assert checked_text(" red\n\twine\r\n", "answer") == "red\n\twine"
    assert checked_concept("red\nwine", "object").text == "red wine"
    for text in ("a\nb", "a\tb", "a\n", "ali\u200bce", "alice\ufeff", "a\u202eb", " "):
        with pytest.raises(InvalidRequest):
            checked_id(text, "user")
    assert checked_id(" Zoë 2 ", "user") == "Zoë 2"


@given(made.texts)
def test_any_name_that_is_let_in_names_itself(text: str) -> None:
    if made.accepts(lambda t: checked_concept(t, "f"))(text):
        concept = checked_concept(text, "f")
        assert checked_concept(concept.text, "f") == concept
    if made.accepts(lambda t: checked_relation(t, "f", VOCABULARY))(text):
        name = checked_relation(text, "f", VOCABULARY)
        assert checked_relation(name, "f", VOCABULARY) == name


# Edits from outside

ADDED = Mark(Origin.ADDED, Stamp(1, 0))
REMOVED = Mark(Origin.REMOVED, Stamp(1, 0))


def with_account() -> Edit:
    account = Account("q", "a", "s", "o", ("r",), 1.0, 0.5, StopReason.LOSS, True, "", "")
    changes = (Change(Triple.of("a", "IsA", "b"), None, ADDED),)
    return Edit("e", 1, EditKind.PERSONALIZE, 5, changes, account)


ESCAPE = "\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_ms", MAX_TIME_MS + 1),
        ("id", " e"),
        ("id", "e\u200b"),
        ("id", "e\ne"),
        ("reverts", "e "),
        ("message", ESCAPE),
        ("message", "x" * (1 << 18 | 1)),
        ("account.query", ESCAPE),
        ("account.query", " "),
        ("account.answer", "a\x9bb"),
        ("account.answer", "x" * (1 << 18 | 1)),
        ("account.answer_before", ESCAPE),
        ("account.answer_after", "\x00"),
        ("account.subject", "_"),
        ("account.object", "a\u202eb"),
        ("account.relations", ("r",) * 101),
        ("account.relations", ("r" * 65,)),
    ],
)
def test_an_edit_from_outside_is_held_to_what_rpcs_may_send(field: str, value: object) -> None:
    edit = with_account()
    assert checked_edit(edit, VOCABULARY) == edit
    assert edit.account is not None
    outer, _, inner = field.partition(".")
    changed: Any = {inner or outer: value}
    if inner:
        bad = replace(edit, account=replace(edit.account, **changed))
    else:
        bad = replace(edit, **changed)
    with pytest.raises(InvalidRequest) as refused:
        checked_edit(bad, VOCABULARY)
    assert refused.value.field == (inner or outer)


KEY = packed_key([1, 2, -3])


def with_scope(scope: Scope, after: Mark | None = ADDED) -> Edit:
    change = Change(Triple.of("a", "IsA", "b"), REMOVED if after is None else None, after)
    return replace(with_account(), changes=(replace(change, scope=scope),))


@pytest.mark.parametrize(
    "scope",
    [
        Scope("What does a dog like?"),
        Scope("What does\n\ta dog like?", KEY, "0123456789abcdef", owned=True),
        Scope("\u200b", KEY, "f"),
        Scope("x" * MAX_TEXT_BYTES),
        Scope("q", packed_key([1.0] * 24_576), "f"),
        Scope("q", packed_key([1e-5 * n for n in range(8192)]), "f"),
    ],
)
def test_what_a_fact_answers_may_come_from_outside(scope: Scope) -> None:
    edit = with_scope(scope)
    assert checked_edit(edit, VOCABULARY) == edit


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        (Scope(ESCAPE), "scope.query"),
        (Scope("a\x9bb"), "scope.query"),
        (Scope("a\ud800"), "scope.query"),
        (Scope("x" * (MAX_TEXT_BYTES + 1)), "scope.query"),
        (Scope("犬" * (MAX_TEXT_BYTES // 3 + 1)), "scope.query"),
        (Scope("q", KEY, "f\n"), "scope.fingerprint"),
        (Scope("q", KEY, " f"), "scope.fingerprint"),
        (Scope("q", KEY, "f\u200b"), "scope.fingerprint"),
        (Scope("q", KEY, "f" * 65), "scope.fingerprint"),
        (Scope("q", bytes(6), "f"), "scope.key"),
        (Scope("q", struct.pack("<2e", 0.9, 0.9), "f"), "scope.key"),
        (Scope("q", struct.pack("<2e", 1.0, math.nan), "f"), "scope.key"),
        (Scope("q", struct.pack("<2e", 1.0, math.inf), "f"), "scope.key"),
    ],
)
def test_a_scope_from_outside_is_held_to_what_rpcs_keep(scope: Scope, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_edit(with_scope(scope), VOCABULARY)
    assert refused.value.field == field


@pytest.mark.parametrize("after", [None, REMOVED])
def test_only_an_added_triple_answers_something(after: Mark | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked_edit(with_scope(Scope("q"), after), VOCABULARY)
    assert refused.value.field == "scope"


@pytest.mark.parametrize(
    "triple",
    [
        ("_", "IsA", "b"),
        ("a", "...", "b"),
        ("a", "IsA", "?"),
        ("a\x9bc", "IsA", "b"),
        ("a", "IsA", "b\u2066c"),
    ],
)
def test_a_triple_from_outside_is_held_to_what_rpcs_may_send(triple: tuple[str, str, str]) -> None:
    change = Change(Triple.of(*triple), None, ADDED)
    for bad in (
        replace(with_account(), changes=(change,)),
        replace(with_account(), relied_on=(change.triple,)),
    ):
        with pytest.raises(InvalidRequest, match=r"triple\."):
            checked_edit(bad, VOCABULARY)


def test_each_change_of_an_edit_from_outside_changes_something() -> None:
    edit = with_account()
    idle = Change(Triple.of("a", "IsA", "c"), None, None)
    assert checked_edit(replace(edit, changes=()), VOCABULARY).changes == (), (
        "rekeyed logs hold such edits"
    )
    for changes in ((idle,), (*edit.changes, replace(idle, before=ADDED, after=ADDED))):
        with pytest.raises(InvalidRequest) as refused:
            checked_edit(replace(edit, changes=changes), VOCABULARY)
        assert refused.value.field == "changes"
    with pytest.raises(InvalidRequest, match="relied_on"):
        checked_edit(replace(edit, relied_on=(idle.triple,) * 501), VOCABULARY)


def test_relations_from_outside_are_named_as_edit_facts_names_them() -> None:
    sent = [
        ("dog", "likes", "tea"),
        ("dog", "My Own", "b"),
        ("dog", "1. likes", "c"),
        ("sofa", "is near", "bed"),
    ]
    changes = tuple(Change(Triple.of(*t), None, ADDED) for t in sent)
    named = checked_edit(
        replace(with_account(), changes=changes, relied_on=(changes[0].triple,)), VOCABULARY
    )
    assert [c.triple.relation for c in named.changes] == [
        "Desires",
        "my own",
        "Desires",
        "LocatedNear",
    ]
    assert named.changes[3].triple.head.text == "bed", "a symmetric relation has one form"
    assert named.relied_on[0].relation == "Desires"
