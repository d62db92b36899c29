"""Small files in ConceptNet's format, and what a loader is seen to make of them."""

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
    """One line of the dump. Concepts without a leading slash are English."""
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
    """Everything in a base that users can come to see, in its order."""
    with sqlite3.connect(data / BASE_FILE) as connection:
        return {
            "edges": connection.execute(
                "SELECT h.key, r.name, r.id < 0, e.rank, t.key, e.weight, s.dataset, s.license, e.merged"
                " FROM edges e JOIN concepts h ON h.id = e.head JOIN concepts t ON t.id = e.tail"
                " JOIN relations r ON r.id = e.relation JOIN sources s ON s.id = e.source ORDER BY 1, 2, 4"
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
    """What a load said at its end."""
    counted = re.findall(
        r"^(lines read|left out: .*|rejected|kept|edges|concepts)\t([\d,]+)$", out, re.MULTILINE
    )
    return {name: int(count.replace(",", "")) for name, count in counted}


def rejects(data: Path) -> list[tuple[int, str, str]]:
    """Number, reason and text of each rejected line."""
    if not (data / "rejects.tsv").exists():
        return []
    written = (data / "rejects.tsv").read_bytes().decode("utf-8").split("\n")[:-1]
    return [
        (int(number), reason, text)
        for number, reason, text in (one.split("\t", 2) for one in written)
    ]
