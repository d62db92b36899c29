"""Small files to load, and what the loader makes of them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from kgload.__main__ import main
from server.stores.sqlite.base import BASE_FILE

HEAVY = {"dataset": "/d/wiktionary/en", "license": "cc:by-sa/4.0", "sources": [], "weight": 2.5}


def line(relation: str, start: str, end: str, weight: object = 1.0, **more: object) -> str:
    """A line of ConceptNet's dump. Concepts without a leading slash are English."""
    h, t = (c if c.startswith(("/", "http")) else f"/c/en/{c}" for c in (start, end))
    metadata = {"dataset": "/d/conceptnet/4/en", "license": "cc:by/4.0", "weight": weight, **more}
    return f"/a/[/r/{relation}/,{h}/,{t}/]\t/r/{relation}\t{h}\t{t}\t{json.dumps(metadata)}"


GOOD = line("IsA", "dog", "pet")


def dump(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    return path


def load(*arguments: str | Path, data: Path) -> int:
    """Run the loader; its exit status."""
    return main([*(str(a) for a in arguments), "--data", str(data), "--memory", "512MB"])


def content(data: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a base that users can see, in order. The file is sound: its indexes agree."""
    with sqlite3.connect(data / BASE_FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {
            "edges": connection.execute(
                "SELECT h.key, r.name, r.id < 0, e.rank, t.key, e.weight, s.dataset, s.license,"
                " e.merged"
                " FROM edges e JOIN concepts h ON h.id = e.head JOIN concepts t ON t.id = e.tail"
                " JOIN relations r ON r.id = e.relation JOIN sources s ON s.id = e.source"
                " ORDER BY 1, 2, 4"
            ).fetchall(),
            "concepts": connection.execute(
                "SELECT id, key, text, retrievable FROM concepts ORDER BY id"
            ).fetchall(),
            "relations": connection.execute(
                "SELECT name, id < 0, edges FROM relations ORDER BY name"
            ).fetchall(),
            "fingerprint": connection.execute(
                "SELECT value FROM meta WHERE key = 'fingerprint'"
            ).fetchall(),
            "indexes": connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY 1"
            ).fetchall(),
        }


def edges(data: Path) -> set[tuple[object, ...]]:
    """(head, relation, tail) of a base."""
    return {(h, r, t) for h, r, _, _, t, *_ in content(data)["edges"]}


def totals(out: str) -> dict[str, int]:
    """The totals that a load printed at its end."""
    counted = re.findall(
        r"^(lines read|left out: .*|rejected|kept|edges|concepts)\t([\d,]+)$", out, re.MULTILINE
    )
    return {name: int(count.replace(",", "")) for name, count in counted}


def rejects(data: Path) -> list[tuple[int, str, str]]:
    """Number, reason and text of each rejected line."""
    if not (data / "rejects.tsv").exists():
        return []
    written = (data / "rejects.tsv").read_bytes().decode("utf-8").split("\n")[:-1]
    fields = [one.split("\t", 2) for one in written]
    return [(int(number), reason, text) for number, reason, text in fields]


OWN_TRIPLES = {
    "graph.tsv": "Pump 7\tsuppliedBy\tACME Ltd\npump_7\tIsA\tpump\n"
    "acme ltd\tAtLocation\tBern, Switzerland\n",
    "graph.csv": "Pump 7,suppliedBy,ACME Ltd\r\npump_7,IsA,pump\r\n\r\n"
    'acme ltd,AtLocation,"Bern, Switzerland"\r\n',
    "named.csv": "relation,tail,head\nsuppliedBy,ACME Ltd,Pump 7\nIsA,pump,pump_7\n"
    'AtLocation,"Bern, Switzerland",acme ltd\n',
    "graph.jsonl": '{"head": "Pump 7", "relation": "suppliedBy", "tail": "ACME Ltd",'
    ' "weight": null}\n["pump_7", "IsA", "pump"]\n'
    '{"head": "acme ltd", "relation": "AtLocation", "tail": "Bern, Switzerland", "x": 1}\n',
}
"""The same triples in each layout."""
DECLARED = """
[[relation]]
name = "suppliedBy"
phrases = ["is supplied by", "comes from the supplier"]
"""
