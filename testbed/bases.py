"""Small base graphs for tests and measurements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from kgload import small
from kgload.small import BaseTriple as BaseTriple
from server.graph.relation import Vocabulary
from server.stores.rules.base_graph import BaseCounts
from server.stores.sqlite.base import BASE_FILE
from server.stores.sqlite.private_files import create_private, private_folder

_REMEMBERED_TRIPLES = 3_000
"""Larger bases are built anew each time."""
_built: dict[str, tuple[bytes, BaseCounts]] = {}


def build_base(folder: Path, triples: Iterable[BaseTriple], vocabulary: Vocabulary) -> BaseCounts:
    """`kgload.small.build_base`, which this process runs only once for the same triples.

    Tests build the same few bases hundreds of times; copying one takes a hundredth of the time.
    """
    rows = list(triples)
    if len(rows) > _REMEMBERED_TRIPLES:
        return small.build_base(folder, rows, vocabulary)
    key = _key(rows, vocabulary)
    if key not in _built:
        counts = small.build_base(folder, rows, vocabulary)
        _built[key] = (folder / BASE_FILE).read_bytes(), counts
        return counts
    content, counts = _built[key]
    private_folder(folder)
    building = folder / f"{BASE_FILE}.copy"
    create_private(building)
    building.write_bytes(content)
    building.replace(folder / BASE_FILE)
    return counts


def _key(rows: Sequence[BaseTriple], vocabulary: Vocabulary) -> str:
    """Names exactly these triples, in this order, under this vocabulary."""
    digest = hashlib.sha256(vocabulary.fingerprint.encode())
    for row in rows:
        head, tail = row.triple.head, row.triple.tail
        ends = (head.key, head.text, row.triple.relation, tail.key, tail.text)
        digest.update(repr((*ends, row.weight, row.dataset, row.license)).encode())
    return digest.hexdigest()
