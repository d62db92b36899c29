"""Where lines end, what counts as one, and what is not UTF-8."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgload import plaintext
from kgload.plaintext import MAX_LINE_BYTES, Survey, decoded, lines_of, other_encoding, survey

PIECES = st.sampled_from(
    [
        b"a",
        b"b c",
        b"\n",
        b"\r",
        b"\r\n",
        b" ",
        b"\t",
        b"\v",
        b"\f",
        b"\x85",
        b"\xef\xbb\xbf",
        "\u2028\u0085".encode(),
    ]
)


def simple_lines(content: bytes) -> list[tuple[int, bytes]]:
    """The lines with text as the definition says, without blocks."""
    content = re.sub(rb"\A\xef\xbb\xbf", b"", content)
    return [
        (n, line)
        for n, line in enumerate(re.split(rb"\r\n|\r|\n", content), 1)
        if line.strip(b" \t\v\f")
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_a_line_ends_as_any_system_ends_it(end: bytes, last: bool) -> None:
    content = end.join([b"a", b"", b" \t", b"b", "c\u2028d\u0085e\vf\fg".encode()]) + (
        end if last else b""
    )
    assert [number for number, _ in lines_of(io.BytesIO(content))] == [1, 4, 5]
    assert survey(io.BytesIO(content)) == Survey(3, plain=False)


@given(st.lists(PIECES, max_size=30).map(b"".join), st.integers(1, 6))
def test_blocks_of_any_size_have_the_same_lines(content: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plaintext, "_CHUNK", chunk)
        patch.setattr(plaintext, "_PROBED", 8)
        assert list(lines_of(io.BytesIO(content))) == simple_lines(content)
        assert survey(io.BytesIO(content)).texts == len(simple_lines(content))


@given(
    st.lists(
        st.sampled_from([b"x" * 4, b"y" * 9, b"z" * 40, b"\n", b"\r", b"\r\n"]), max_size=20
    ).map(b"".join)
)
def test_an_overlong_line_is_cut_and_the_next_is_whole(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plaintext, "_CHUNK", 5)
        patch.setattr(plaintext, "_PROBED", 4)
        patch.setattr(plaintext, "MAX_LINE_BYTES", 12)
        found = list(lines_of(io.BytesIO(content)))
        expected = simple_lines(content)
        assert [number for number, _ in found] == [number for number, _ in expected]
        for (_, line), (_, whole) in zip(found, expected, strict=True):
            assert line == whole if len(whole) <= 12 else len(line) > 12 and whole.startswith(line)
        assert survey(io.BytesIO(content)).texts == len(expected)


@pytest.mark.parametrize(
    ("raw", "text", "fault"),
    [
        (b"caf\xc3\xa9", "café", ""),
        (b"\xef\xbb\xbfmango", "mango", ""),
        (b"caf\xe9", "caf\\xe9", "is not UTF-8"),
        (b"a\0b", "a\0b", "holds NUL bytes"),
        (b"x" * (MAX_LINE_BYTES + 1), "x" * (MAX_LINE_BYTES + 1), "is longer than 8 MiB"),
    ],
    ids=["UTF-8", "mark", "Latin-1", "NUL", "overlong"],
)
def test_a_line_that_cannot_be_read_says_why(raw: bytes, text: str, fault: str) -> None:
    assert decoded(7, raw) == plaintext.Line(7, text, fault)


TEXTS = [
    "mango\tHasProperty\tsweet\n",
    "芒果\tIsA\t水果\n香蕉\tIsA\t水果\n",
    "head,relation,tail\r\nсобака,IsA,животное\r\n",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "name", ["UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE"]
)
def test_another_encoding_is_told_by_name(text: str, name: str) -> None:
    assert other_encoding(text.encode(name)) == name


@pytest.mark.parametrize(
    "start", [b"", b"a", *(text.encode() for text in TEXTS), b"a\0b\tIsA\tc\n", b"\0" * 64]
)
def test_utf8_is_not_taken_for_another(start: bytes) -> None:
    assert other_encoding(start) == ""
