"""One's own triples, line by line: headers, columns, quotes and weights.

Each line is a row, a header, or a bad line with a reason.
"""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgload.lines import BadLine, Header, Row
from kgload.plaintext import decoded, lines_of, survey
from kgload.rows import Columns, Item, Reader, comma_rows, json_rows, tabbed_rows

READERS: dict[str, Reader] = {"csv": comma_rows, "tsv": tabbed_rows, "jsonl": json_rows}
UNNAMED = Columns()


def read(layout: str, content: str | bytes, columns: Columns = UNNAMED) -> list[Item]:
    raw = content if isinstance(content, bytes) else content.encode()
    return list(
        READERS[layout](
            (decoded(number, line) for number, line in lines_of(io.BytesIO(raw))), columns
        )
    )


def told(layout: str, content: str, columns: Columns = UNNAMED) -> list[tuple[object, ...]]:
    """A row as its parts, a rejected line as its number and reason, a header as its number."""
    short: list[tuple[object, ...]] = []
    for item in read(layout, content, columns):
        if isinstance(item, Row):
            short.append((item.head, item.relation, item.tail, item.weight))
        else:
            short.append(
                (item.number, item.reason) if isinstance(item, BadLine) else (item.number,)
            )
    return short


MANGO = ("mango", "IsA", "fruit", 1.0)

# CSV's quotes

NOT_CLOSED = "is not CSV: a quote that opens here is not closed"
GOES_ON = "is not CSV: a quoted field goes on behind its closing quote"
QUOTED = [
    ('"tv" set,AtLocation,room\nmango,IsA,fruit', [(1, GOES_ON), MANGO]),
    (
        'mango,IsA,fruit\n"tv,AtLocation,room\nmango,IsA,fruit\nmango,IsA,fruit',
        [MANGO, (2, NOT_CLOSED), MANGO, MANGO],
    ),
    ('"tv,AtLocation,room\nmango,IsA,"fruit"', [(1, GOES_ON), MANGO]),
    ('"tv,AtLocation,room\nmango,IsA,fruit\n"open', [(1, GOES_ON), MANGO, (3, NOT_CLOSED)]),
    (
        '"5 inch,IsA,x\nmango,IsA,fruit\npipe,IsA,5"',
        [(1, "has 1 column, not 3"), MANGO, ("pipe", "IsA", '5"', 1.0)],
    ),
    ('mango,IsA,fruit\n"', [MANGO, (2, NOT_CLOSED)]),
    ('5" pipe,IsA,a "b" c', [('5" pipe', "IsA", 'a "b" c', 1.0)]),
    ('"a ""b"" c",IsA,"d, e"', [('a "b" c', "IsA", "d, e", 1.0)]),
    ('"mango" , "IsA" , "fruit" ', [MANGO]),
    ('a,IsA,"b\n\nc\nd"\nmango,IsA,fruit', [("a", "IsA", "b c d", 1.0), MANGO]),
    ('a,IsA,"b\nc"\nx', [("a", "IsA", "b c", 1.0), (3, "has 1 column, not 3")]),
    ("mango;IsA;fruit", [(1, "has 1 column, not 3")]),
    (
        "x" * 131_073 + ",IsA,y\nmango,IsA,fruit",
        [(1, "has a field of more than 131,072 characters"), MANGO],
    ),
    (
        '"' + "x" * 131_073 + '",IsA,y\nmango,IsA,fruit',
        [(1, "is not CSV: a field has more than 131,072 characters"), MANGO],
    ),
]


@pytest.mark.parametrize(("content", "expected"), QUOTED, ids=range(len(QUOTED)))
def test_a_malformed_row_costs_itself_alone(
    content: str, expected: list[tuple[object, ...]]
) -> None:
    assert told("csv", content) == expected


def test_a_quote_that_is_not_closed_costs_one_of_many_lines() -> None:
    items = read("csv", '"open,IsA,x\n' + "mango,IsA,fruit\n" * 50_000)
    assert [type(item) for item in items] == [BadLine, *[Row] * 50_000]


def test_a_well_formed_row_over_several_lines_is_one_row_kept_or_rejected() -> None:
    kept, rejected, last = read("csv", 'a,IsA,"b\nc"\n"\n\n",IsA,"b\nc"\nmango,IsA,fruit')
    assert (kept.lines, rejected.lines, last.lines) == (2, 3, 1)
    assert isinstance(rejected, BadLine)
    assert (rejected.number, rejected.reason) == (3, "the head is empty")


def test_a_line_that_is_not_utf8_does_not_end_the_file() -> None:
    items = read("csv", b'"open,IsA,x\n\xff,IsA,y\nmango,IsA,fruit\n')
    assert [(i.number, i.reason) for i in items[:2] if isinstance(i, BadLine)] == [
        (1, NOT_CLOSED),
        (2, "is not UTF-8"),
    ]
    assert isinstance(items[2], Row)


# Headers

HEADERS = [
    ("head,relation,tail", "mango,IsA,fruit"),
    ("subject,predicate,object", "mango,IsA,fruit"),
    ("Subject, Predicate ,OBJECT", "mango,IsA,fruit"),
    ('"source","type","target"', "mango,IsA,fruit"),
    ("from,rel,to", "mango,IsA,fruit"),
    ("start,edge,end,weight", "mango,IsA,fruit,1"),
    ("h,r,t", "mango,IsA,fruit"),
    ("s,p,o", "mango,IsA,fruit"),
    ("score,tail,relation,head", "1,fruit,IsA,mango"),
    ("id,tail,note,relation,head", "7,fruit,ripe,IsA,mango"),
    ("subject,predicate,object,source", "mango,IsA,fruit,wiki"),
    ("head,relation,tail,type", "mango,IsA,fruit,edge"),
    ("head,relation,tail,,", "mango,IsA,fruit,,"),
]


@pytest.mark.parametrize("layout", ["csv", "tsv"])
@pytest.mark.parametrize(("header", "row"), HEADERS)
def test_a_first_line_that_names_the_columns_is_a_header(
    header: str, row: str, layout: str
) -> None:
    lines = f"\ufeff{header}\n{row}\n"
    assert told(layout, lines if layout == "csv" else lines.replace(",", "\t")) == [(1,), MANGO]


@pytest.mark.parametrize(
    "first", ["start,Antonym,end", "head,IsA,tail", "subject,RelatedTo,object"]
)
def test_a_triple_about_such_words_is_a_triple(first: str) -> None:
    head, relation, tail = first.split(",")
    assert told("csv", f"{first}\nmango,IsA,fruit") == [(head, relation, tail, 1.0), MANGO]


def test_the_columns_asked_for_win_over_a_header_which_is_no_triple() -> None:
    asked = Columns(("relation", "head", "tail"), given=True)
    for layout, between in (("csv", ","), ("tsv", "\t")):
        lines = "head,relation,tail\nIsA,mango,fruit\nIsA,mango,fruit,2".replace(",", between)
        assert told(layout, lines, asked) == [(1,), MANGO, (3, "has 4 columns, not 3")]


def test_a_header_stands_above_all_rows() -> None:
    assert told("csv", "My graph\nhead,relation,tail\nmango,IsA,fruit\nhead,relation,tail") == [
        (1, "has 1 column, not 3"),
        (2,),
        MANGO,
        (4, "names the columns, and rows stand above it"),
    ]


# Columns and weights

COLUMNS = [
    ("csv", "mango,IsA,fruit, ripe", [(1, "has 4 columns, not 3")]),
    (
        "csv",
        "head,relation,tail\nmango,IsA,fruit, ripe\nmango,IsA",
        [(1,), (2, "has 4 columns, not 3"), (3, "has 2 columns, not 3")],
    ),
    ("csv", "head,relation,tail,weight\nmango,IsA,fruit", [(1,), (2, "has 3 columns, not 4")]),
    ("csv", "mango,IsA,fruit,", [MANGO]),
    ("csv", "mango,IsA,fruit,, ,", [MANGO]),
    ("csv", ",,,,", [(1, "the head is empty")]),
    ("csv", "mango,IsA,1,5", [(1, "has 4 columns, not 3")]),
    ("tsv", "mango\tIsA\tfruit\t", [MANGO]),
    ("tsv", "mango\tIsA\tfruit\t\t", [MANGO]),
    ("tsv", "mango\tIsA\tfruit\t-2.5", [("mango", "IsA", "fruit", -2.5)]),
    ("tsv", "mango\tIsA\tfruit\tripe", [(1, "has 4 columns, not 3, and the last is not a weight")]),
    ("tsv", "mango\tIsA\tfruit\t1,5", [(1, "has 4 columns, not 3, and the last is not a weight")]),
    ("tsv", "mango\tIsA\tfruit\t2\tx", [(1, "has 5 columns, not 3")]),
    ("tsv", "mango,IsA,fruit", [(1, "has 1 column, not 3")]),
    ("jsonl", '["mango", "IsA", "fruit", -2.5]', [("mango", "IsA", "fruit", -2.5)]),
    ("jsonl", '["mango", "IsA", "fruit", null]', [MANGO]),
    ("jsonl", '["mango", "IsA", "fruit", 2, 3]', [(1, "has 5 columns, not 3")]),
    ("jsonl", '["mango", "IsA"]', [(1, "has 2 columns, not 3")]),
    (
        "jsonl",
        '{"Subject": "mango", "predicate": "IsA", "object": "fruit", "score": 1, "x": 2}',
        [MANGO],
    ),
    ("jsonl", '{"from": "mango", "type": "IsA", "to": "fruit", "head": null}', [MANGO]),
    (
        "jsonl",
        '{"head": "mango", "head": "kiwi", "relation": "IsA", "tail": "fruit"}',
        [(1, "names the head twice")],
    ),
    (
        "jsonl",
        '{"head": "mango", "Head": "kiwi", "relation": "IsA", "tail": "fruit"}',
        [(1, "names the head twice")],
    ),
    ("jsonl", "[" * 100_000, [(1, "is not JSON: it is nested too deeply")]),
    ("jsonl", "7" * 5_000, [(1, "is not JSON: a number has too many digits")]),
]


@pytest.mark.parametrize(("layout", "content", "expected"), COLUMNS, ids=range(len(COLUMNS)))
def test_a_row_has_the_columns_that_are_named(
    layout: str, content: str, expected: list[tuple[object, ...]]
) -> None:
    assert told(layout, content) == expected


WEIGHED = Columns(("weight", "head", "relation", "tail"), given=True)


@pytest.mark.parametrize(
    "weight", ["-0.5", "-0.0", "0", "+3", ".5", "2.", "1e-300", "5e-324", "1e9", "-1E+9", " 2 ", ""]
)
def test_every_finite_weight_of_a_sane_size_is_taken(weight: str) -> None:
    (row,) = read("tsv", f"{weight}\tmango\tIsA\tfruit", WEIGHED)
    assert isinstance(row, Row)
    assert row.weight == float(weight or 1)
    number = float(weight or 1)
    assert read("jsonl", json.dumps([number, "mango", "IsA", "fruit"]), WEIGHED) == [row]


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        *(
            (weight, "is not a number")
            for weight in ("heavy", "nan", "inf", "-Infinity", "1,5", "1_000", "１", "0x1p3", "1 2")
        ),
        *((weight, "is out of range") for weight in ("1e300", "-1e300", "1e400", "1000000001")),
    ],
)
def test_any_other_weight_is_told(weight: str, reason: str) -> None:
    (bad,) = read("tsv", f"{weight}\tmango\tIsA\tfruit", WEIGHED)
    assert isinstance(bad, BadLine)
    assert bad.reason.startswith("the weight ")
    assert bad.reason.endswith(reason)


@pytest.mark.parametrize(
    "weight", ["NaN", "Infinity", "-Infinity", "1e300", "1" + "0" * 400, "true", '"2"', "[1]"]
)
def test_any_other_weight_in_json_is_told(weight: str) -> None:
    (bad,) = read(
        "jsonl", f'{{"head": "mango", "relation": "IsA", "tail": "fruit", "weight": {weight}}}'
    )
    assert isinstance(bad, BadLine)
    assert bad.reason.startswith("the weight ")


# What names nothing

NAMELESS = ["_", " ", "\u200b", "\u3000", "...", "\x1b[31mred", "a\x07b", "a\x9bb", "a\u202eb"]


@pytest.mark.parametrize("name", NAMELESS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_names_nothing_or_controls_a_terminal_is_rejected(name: str, place: int) -> None:
    parts = ["mango", "IsA", "fruit"]
    parts[place] = name
    (bad,) = read("jsonl", json.dumps(parts))
    assert isinstance(bad, BadLine)
    assert bad.reason.startswith(f"the {('head', 'relation', 'tail')[place]} ")
    assert bad.reason.isprintable()


# Every line is accounted for

PIECES = st.sampled_from(
    [b'"', b'""', b",", b"\t", b"\n", b"\r", b"\r\n", b"a", b"IsA", b"b c", b"1", b" ",
     b"[", b"]", b"{", b"}", b":", b"head", b"relation", b"tail", b"\0", b"\xff",
     b"\xef\xbb\xbf", b"\x1b", "\u2028".encode()]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(st.lists(PIECES, max_size=60).map(b"".join), st.binary(max_size=200)),
    st.sampled_from(sorted(READERS)),
)
def test_each_line_is_in_one_item_and_items_are_in_order(content: bytes, layout: str) -> None:
    items = read(layout, content)
    assert sum(item.lines for item in items) == survey(io.BytesIO(content)).texts
    numbers = [item.number for item in items if not isinstance(item, Row)]
    assert numbers == sorted(set(numbers))
    assert sum(isinstance(item, Header) for item in items) <= 1
