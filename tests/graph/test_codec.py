import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Internal, InvalidRequest
from server.graph.codec import (
    MAX_TIME_MS,
    MalformedEdit,
    checked_concept,
    checked_edit,
    checked_id,
    checked_relation,
    checked_relation_name,
    checked_text,
    checked_triple,
    edit_from_json,
    edit_to_json,
    require_readable,
)
from server.graph.concept import concept_key
from server.graph.edit import Account, Change, Edit, EditKind, StopReason, TripleProbabilities
from server.graph.triple import Mark, Origin, Stamp, Triple
from tests.graph import edits as made
from tests.graph.edits import VOCABULARY

names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=15).filter(
    concept_key
)
triples = st.builds(Triple.of, names, names.map(str.strip), names)
marks = st.none() | st.builds(
    Mark,
    st.sampled_from([Origin.ADDED, Origin.REMOVED]),
    st.builds(Stamp, st.integers(1, 99), st.integers(0, 99)),
)
shares = st.floats(0, 1)
losses = st.floats(0, 50) | st.just(math.inf)
edits = st.builds(
    Edit,
    st.text("0123456789abcdef", min_size=1, max_size=32),
    st.integers(1, 1 << 40),
    st.sampled_from(EditKind),
    st.integers(0, 1 << 45),
    st.lists(st.builds(Change, triples, marks, marks, st.none() | st.builds(TripleProbabilities, shares, shares, shares)), max_size=4).map(tuple),
    st.none()
    | st.builds(
        Account, names, names, names, names, st.lists(names, max_size=3).map(tuple), losses, losses,
        st.sampled_from(StopReason), st.booleans(), st.text(max_size=9), st.text(max_size=9),
    ),
    st.none() | st.just("abc"),
    st.lists(triples, max_size=2).map(tuple),
)  # fmt: skip


@given(edits)
def test_an_edit_is_read_back_as_it_was(edit: Edit) -> None:
    line = edit_to_json(edit)
    assert "\n" not in line
    assert edit_from_json(line) == edit
    assert edit_to_json(edit_from_json(line)) == line, "texts are kept as typed"


def good() -> dict[str, Any]:
    edit = Edit(
        "e",
        1,
        EditKind.FACTS,
        5,
        (Change(Triple.of("a", "IsA", "b"), None, Mark(Origin.ADDED, Stamp(1, 0))),),
    )
    return dict(json.loads(edit_to_json(edit)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", ""),
        ("id", 7),
        ("revision", 0),
        ("revision", True),
        ("kind", "magic"),
        ("time_ms", -1),
        ("changes", {}),
        ("changes", [{"triple": ["a", "IsA"], "before": None, "after": None}]),
        ("changes", [{"triple": ["a", "IsA", " "], "before": None, "after": None}]),
        ("changes", [{"triple": ["a", "IsA", "b"], "before": ["base", 1, 0], "after": None}]),
        ("changes", [{"triple": ["a", "IsA", "b"], "before": ["added", 0, 0], "after": None}]),
        ("evidence", {"query": 1}),
        ("relied_on", [["a"]]),
    ],
)
def test_what_an_edit_cannot_be_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(InvalidRequest):
        edit_from_json(json.dumps(good() | {key: value}))


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '"x"'])
def test_other_json_is_refused(line: str) -> None:
    with pytest.raises(MalformedEdit):
        edit_from_json(line)


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
def test_a_concept_of_which_nothing_is_left_is_refused(text: str) -> None:
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
def test_a_concept_of_which_a_letter_a_digit_or_a_symbol_is_left_is_one(text: str) -> None:
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
def test_a_relation_of_which_no_letter_or_digit_is_left_is_refused(text: str) -> None:
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
def test_names_do_not_turn_the_direction_of_writing_and_texts_may(char: str) -> None:
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
def test_any_text_that_is_let_in_names_itself_again(text: str) -> None:
    if made.accepts(lambda t: checked_concept(t, "f"))(text):
        concept = checked_concept(text, "f")
        assert checked_concept(concept.text, "f") == concept
    if made.accepts(lambda t: checked_relation(t, "f", VOCABULARY))(text):
        name = checked_relation(text, "f", VOCABULARY)
        assert checked_relation(name, "f", VOCABULARY) == name


# What is written can be read


@given(made.edits)
def test_every_edit_that_rpcs_make_can_be_read_and_comes_back_from_an_export(edit: Edit) -> None:
    line = require_readable(edit)
    assert line == edit_to_json(edit)
    assert checked_edit(edit_from_json(line), VOCABULARY) == edit


@pytest.mark.parametrize(
    "triple",
    [Triple.of("dog", "", "cat"), Triple.of("_", "IsA", "cat"), Triple.of("x" * 513, "IsA", "a"), Triple.of("a", " r ", "b"),
     Triple.of("dog", "\ud800", "cat"), Triple.of("dog", "x" * 65, "cat")],
)  # fmt: skip
def test_an_edit_that_could_not_be_read_back_is_not_to_be_written(triple: Triple) -> None:
    change = Change(triple, None, Mark(Origin.ADDED, Stamp(1, 0)))
    for edit in (
        Edit("e", 1, EditKind.FACTS, 5, (change,)),
        Edit("e", 1, EditKind.FACTS, 5, (), relied_on=(triple,)),
    ):
        with pytest.raises(Internal):
            require_readable(edit)


def test_numbers_that_json_has_not_are_not_to_be_written() -> None:
    change = Change(Triple.of("a", "IsA", "b"), None, None, TripleProbabilities(math.nan, 0.5, 0.5))
    with pytest.raises(Internal):
        require_readable(Edit("e", 1, EditKind.FACTS, 5, (change,)))


DEEP = "[" * 100_000
BAD_JSON = {
    "deep": '{"id":' + DEEP,
    "deep object": '{"a":' * 100_000,
    "many digits": '{"revision":' + "9" * 5_000 + "}",
    "NaN": '{"revision":NaN}',
    "Infinity": '{"revision":-Infinity}',
    "twice": '{"id":"a","id":"b"}',
}


@pytest.mark.parametrize("what", BAD_JSON)
def test_what_is_no_readable_json_is_a_malformed_edit(what: str) -> None:
    with pytest.raises(MalformedEdit) as refused:
        edit_from_json(BAD_JSON[what])
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e400", "true", '"1"', "null"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    line = json.dumps(good())
    probabilities = (
        '"probabilities":{"retrieval_before":0,"retrieval_after":0,"reasoning":' + number + "}"
    )
    assert '"after"' in line
    with pytest.raises(MalformedEdit, match="reasoning"):
        edit_from_json(line.replace('"after"', f'{probabilities},"after"', 1))


@pytest.mark.parametrize("at", ["id", "reverts", "triple", "query"])
def test_half_a_character_is_refused_anywhere(at: str) -> None:
    document = good()
    if at == "triple":
        document["changes"][0]["triple"][2] = "a\ud800"
    elif at == "query":
        document["evidence"] = {"query": "a\ud800"}
    else:
        document[at] = "a\ud800"
    with pytest.raises(MalformedEdit, match=at):
        edit_from_json(json.dumps(document))


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "changes", "revision", "kind"]) | st.text(), inner)).map(json.dumps))  # fmt: skip
def test_any_text_is_an_edit_or_a_malformed_one(line: str) -> None:
    with pytest.raises(MalformedEdit):
        edit_from_json(line)


def with_account() -> Edit:
    account = Account("q", "a", "s", "o", ("r",), 1.0, 0.5, StopReason.LOSS, True, "", "")
    return Edit(
        "e", 1, EditKind.PERSONALIZE, 5, edit_from_json(json.dumps(good())).changes, account
    )


ESCAPE = "\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_ms", MAX_TIME_MS + 1),
        ("id", " e"),
        ("id", "e\u200b"),
        ("id", "e\ne"),
        ("reverts", "e "),
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
    changed: Any = {inner: value}
    bad = replace(
        edit, **({"account": replace(edit.account, **changed)} if inner else {outer: value})
    )  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as refused:
        checked_edit(bad, VOCABULARY)
    assert refused.value.field == (inner or outer)


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
    change = Change(Triple.of(*triple), None, Mark(Origin.ADDED, Stamp(1, 0)))
    for bad in (
        replace(with_account(), changes=(change,)),
        replace(with_account(), relied_on=(change.triple,)),
    ):
        with pytest.raises(InvalidRequest, match=r"triple\."):
            checked_edit(bad, VOCABULARY)


def test_an_edit_from_outside_changes_triples_each_to_something_else() -> None:
    edit, added = with_account(), Mark(Origin.ADDED, Stamp(1, 0))
    idle = Change(Triple.of("a", "IsA", "c"), None, None)
    assert checked_edit(replace(edit, changes=()), VOCABULARY).changes == (), (
        "as some are whose concepts became one"
    )
    for changes in ((idle,), (*edit.changes, replace(idle, before=added, after=added))):
        with pytest.raises(InvalidRequest) as refused:
            checked_edit(replace(edit, changes=changes), VOCABULARY)
        assert refused.value.field == "changes"
    with pytest.raises(InvalidRequest, match="relied_on"):
        checked_edit(replace(edit, relied_on=(idle.triple,) * 501), VOCABULARY)


def test_relations_from_outside_are_named_as_edit_facts_names_them() -> None:
    added = Mark(Origin.ADDED, Stamp(1, 0))
    sent = [
        ("dog", "likes", "tea"),
        ("dog", "My Own", "b"),
        ("dog", "1. likes", "c"),
        ("sofa", "is near", "bed"),
    ]
    changes = tuple(Change(Triple.of(*t), None, added) for t in sent)
    named = checked_edit(
        replace(with_account(), changes=changes, relied_on=(changes[0].triple,)), VOCABULARY
    )
    assert [c.triple.relation for c in named.changes] == [
        "Desires",
        "my own",
        "Desires",
        "LocatedNear",
    ]
    assert named.changes[3].triple.head.text == "bed", "of a symmetric relation the one form"
    assert named.relied_on[0].relation == "Desires"
