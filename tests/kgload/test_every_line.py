"""Whole loads of any bytes: each line with text is kept, left out, or rejected."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgload.__main__ import main
from server.graph.concept import concept_key
from server.stores.sqlite.base import BASE_FILE
from tests.kgload.dumps import GOOD, edges, rejects, totals

WORDS = st.lists(
    st.sampled_from(["mango", "Straße", "犬", "собака", "big", "C++", "o'clock", "-18"]),
    min_size=1,
    max_size=3,
)
TRIPLES = st.tuples(
    WORDS.map(" ".join), st.sampled_from(["IsA", "UsedFor", "likes"]), WORDS.map(" ".join)
)
JUNK = st.sampled_from(
    [
        b"junk",
        b"caf\xe9",
        b"a\0b",
        b'"open',
        b"tab\x1b[0m",
        b"{",
        b"]",
        "\u2028".encode(),
        b"x" * 140_000,
        b"\x85",
        b"#!",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
WRITERS = {
    "csv": lambda t: ",".join(t).encode(),
    "tsv": lambda t: "\t".join(t).encode(),
    "jsonl": lambda t: json.dumps(t).encode(),
}


@contextlib.contextmanager
def loaded(
    name: str, written: bytes, form: str = "triples"
) -> Iterator[tuple[int, str, str, Path]]:
    """Load into a folder of its own: (status, output, errors, folder)."""
    folder = Path(tempfile.mkdtemp())
    out, err = io.StringIO(), io.StringIO()
    try:
        (folder / name).write_bytes(written)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(
                [form, str(folder / name), "--data", str(folder / "data"), "--memory", "512MB"]
            )
        yield status, out.getvalue(), err.getvalue(), folder / "data"
    finally:
        shutil.rmtree(folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(WRITERS)),
    st.lists(st.tuples(st.one_of(TRIPLES, JUNK), ENDS), min_size=1, max_size=25),
)
def test_well_formed_lines_are_kept_whatever_stands_between_them(
    layout: str, entries: list[tuple[tuple[str, str, str] | bytes, bytes]]
) -> None:
    texts = [one if isinstance(one, bytes) else WRITERS[layout](one) for one, _ in entries]
    written = b"".join(text + end for text, (_, end) in zip(texts, entries, strict=True))
    good = {
        (concept_key(h), r, concept_key(t))
        for one, _ in entries
        if not isinstance(one, bytes)
        for h, r, t in [one]
    }
    bad = [number for number, (one, _) in enumerate(entries, 1) if isinstance(one, bytes)]
    with loaded(f"graph.{layout}", written) as (status, out, err, data):
        assert "Traceback" not in err
        assert status == (0 if good else 2)
        assert [number for number, *_ in rejects(data)] == bad
        if good:
            assert edges(data) == good
            said = totals(out)
            assert (said["lines read"], said["rejected"]) == (len(entries), len(bad))
            assert said["kept"] == said["lines read"] - said["rejected"]


PIECES = [
    b"a,IsA,b", b"a\tIsA\tb", b'["a", "IsA", "b"]', GOOD.encode(), GOOD.encode() + b"\tx",
    b'"', b'"a', b'"a"', b",", b"\t", b"\n", b"\r", b"\r\n", b" ", b"\0", b"\xff",
    b"\xef\xbb\xbf", b"head,relation,tail", b"\x01", b"\x1f\x8b",
]  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.dump"]),
    st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join),
)
def test_any_bytes_end_as_a_load_or_as_one_line_that_says_why(name: str, written: bytes) -> None:
    with loaded(name, written, "conceptnet" if name == "a.dump" else "triples") as (
        status,
        out,
        err,
        data,
    ):
        assert status in (0, 2)
        assert "Traceback" not in err
        assert "fault of the loader" not in err
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + err)
        if status == 0:
            said = totals(out)
            left_out = sum(count for name, count in said.items() if name.startswith("left out"))
            assert said["lines read"] == said["kept"] + said["rejected"] + left_out
            assert len(rejects(data)) == said["rejected"]
        else:
            assert not (data / BASE_FILE).exists()
