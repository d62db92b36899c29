"""Files of triples as people write them: each line is kept or rejected with a reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from kgload.__main__ import main
from tests.kgload.dumps import content, line, load, rejects, totals

CASES: list[tuple[str, bytes, dict[str, int], list[tuple[int, str]]]] = [
    (
        "quote.csv",
        b'head,relation,tail\nmango,HasProperty,sweet\n"tv" set,AtLocation,living room\n'
        b"papaya,HasProperty,orange\nkiwi,HasProperty,green\n",
        {"lines read": 4, "rejected": 1, "kept": 3, "edges": 3, "concepts": 6},
        [(3, "is not CSV")],
    ),
    (
        "bom.csv",
        b"\xef\xbb\xbfhead,relation,tail\r\nmango,HasProperty,sweet\r\n"
        b"papaya,HasProperty,orange\r\n",
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 4},
        [],
    ),
    (
        "bom.tsv",
        b"\xef\xbb\xbfmango\tHasProperty\tsweet\r\nmango\tAtLocation\tmarket\r\n",
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 3},
        [],
    ),
    (
        "bom.jsonl",
        b'\xef\xbb\xbf{"head":"mango","relation":"HasProperty","tail":"sweet"}\r\n'
        b'{"head":"mango","relation":"AtLocation","tail":"market"}\r\n',
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 3},
        [],
    ),
    (
        "neg.csv",
        b"head,relation,tail,weight\nspinach,HasProperty,tasty,-0.5\nmango,HasProperty,sweet,2\n",
        {"lines read": 2, "rejected": 0, "kept": 2, "edges": 2, "concepts": 4},
        [],
    ),
    (
        "hdr.tsv",
        b"head\trelation\ttail\nmango\tHasProperty\tsweet\n",
        {"lines read": 1, "rejected": 0, "edges": 1},
        [],
    ),
    (
        "spo.csv",
        b"subject,predicate,object\nmango,HasProperty,sweet\n",
        {"lines read": 1, "rejected": 0, "edges": 1},
        [],
    ),
    (
        "extra.csv",
        b"head,relation,tail\nmango,HasProperty,sweet, juicy and ripe\nmango,IsA,fruit\n",
        {"lines read": 2, "rejected": 1, "edges": 1},
        [(2, "has 4 columns, not 3")],
    ),
    (
        "cr.tsv",
        b"mango\tHasProperty\tsweet\rpapaya\tHasProperty\torange\r",
        {"lines read": 2, "rejected": 0, "edges": 2, "concepts": 4},
        [],
    ),
    (
        "joined.jsonl",
        b'\n["a", "IsA", "b"]\n\xef\xbb\xbf["c", "IsA", "d"]\n \nno\n["e", "...", "f"]\n'
        b'["_", "IsA", "f"]\n["a\\u0007", "IsA", "f"]',
        {"lines read": 6, "rejected": 4, "kept": 2, "edges": 2},
        [
            (5, "is not JSON"),
            (6, "the relation names nothing"),
            (7, "the head"),
            (8, "the head holds control characters"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("name", "written", "expected", "bad"), CASES, ids=[name for name, *_ in CASES]
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_reported_file_is_counted_as_it_is(
    name: str,
    written: bytes,
    expected: dict[str, int],
    bad: list[tuple[int, str]],
    packed: bool,
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / (f"{name}.gz" if packed else name)
    file.write_bytes(gzip.compress(written) if packed else written)
    assert load("triples", file, data=data) == 0
    said = totals(capsys.readouterr().out)
    assert said | expected == said
    assert said["lines read"] == said["kept"] + said["rejected"]
    found = rejects(data)
    assert [number for number, *_ in found] == [number for number, _ in bad]
    assert all(
        reason.startswith(start) for (_, reason, _), (_, start) in zip(found, bad, strict=True)
    )
    assert main(["verify", "--data", str(data)]) == 0


def test_the_heaviest_of_negative_duplicates_wins_by_both_routes(
    tmp_path: Path, data: Path
) -> None:
    weights = {
        "a": ["-3", "-0.5"],
        "b": ["-0.0"],
        "c": ["1e-300"],
        "d": ["-1000000000", "1000000000"],
        "e": ["-2", "2"],
    }
    lines = [(head, weight) for head, all_of in weights.items() for weight in all_of]
    (tmp_path / "own.tsv").write_text(
        "".join(f"{h}\tIsA\tx\t{w}\n" for h, w in lines), encoding="utf-8"
    )
    dumped = "".join(f"{line('IsA', h, 'x', json.loads(w))}\n" for h, w in lines)
    (tmp_path / "dump.csv").write_text(dumped, encoding="utf-8")
    for form, name in (("triples", "own.tsv"), ("conceptnet", "dump.csv")):
        assert load(form, tmp_path / name, "--replace", data=data) == 0
        assert {e[0]: e[5] for e in content(data)["edges"]} == {
            "a": -0.5,
            "b": 0,
            "c": 1e-300,
            "d": 1e9,
            "e": 2,
        }
        assert main(["verify", "--data", str(data)]) == 0


def test_facts_of_a_head_are_in_the_order_of_their_weights_below_zero_too(
    tmp_path: Path, data: Path
) -> None:
    (tmp_path / "own.tsv").write_text(
        "".join(f"a\tIsA\tt{w}\t{w}\n" for w in (-2, 3, 0, -1, -2.5)), encoding="utf-8"
    )
    load("triples", tmp_path / "own.tsv", data=data)
    assert [e[5] for e in content(data)["edges"]] == [3, 0, -1, -2, -2.5]
