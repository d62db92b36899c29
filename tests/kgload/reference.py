"""What a base holds, worked out by plain Python: what the loader's merging is compared with."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from server.graph.relation import Vocabulary
from server.graph.triple import canonical
from server.stores.rules.base_graph import base_fingerprint
from testbed.bases import BaseTriple

EdgeKey = tuple[str, str, str]
Rows = list[tuple[object, ...]]


@dataclass(slots=True)
class _Edge:
    """The lines that are one edge."""

    first: int
    lines: list[tuple[int, BaseTriple]] = field(default_factory=list)

    @property
    def weight(self) -> float:
        return max(given.weight for _, given in self.lines)

    @property
    def heaviest(self) -> BaseTriple:
        """It gives the source. Ties go to the first line."""
        return max(self.lines, key=lambda line: (micro(line[1].weight), -line[0]))[1]


def content_of(triples: Iterable[BaseTriple], vocabulary: Vocabulary) -> Mapping[str, Rows]:
    """The content of the base of `triples`, as `tests.kgload.dumps.content` reads it."""
    edges: dict[EdgeKey, _Edge] = {}
    texts: dict[str, str] = {}
    for line, given in enumerate(triples):
        for concept in (given.triple.head, given.triple.tail):
            texts.setdefault(concept.key, concept.text)
        t = canonical(given.triple, vocabulary)
        edge = edges.setdefault((t.head.key, t.relation, t.tail.key), _Edge(line))
        edge.lines.append((line, given))
    ids = {key: number for number, key in enumerate(sorted(texts), start=1)}
    rows, digest = _edge_rows(edges, ids, vocabulary)
    retrievable = _retrievable(edges, vocabulary)
    relations = Counter(relation for _, relation, _ in edges)
    concepts_digest = 0
    for key, number in ids.items():
        concepts_digest ^= row_digest(number, key)
    return {
        "edges": rows,
        "concepts": [(number, key, texts[key], retrievable[key]) for key, number in ids.items()],
        "relations": [
            (name, int(vocabulary.is_symmetric(name)), count)
            for name, count in sorted(relations.items())
        ],
        "fingerprint": [(base_fingerprint(concepts_digest, digest),)],
    }


def _edge_rows(
    edges: Mapping[EdgeKey, _Edge], ids: Mapping[str, int], vocabulary: Vocabulary
) -> tuple[Rows, int]:
    """The edges in the order of head, relation and rank; and the XOR of their digests."""
    ranked = sorted(edges.items(), key=lambda item: (item[0][:2], -item[1].weight, item[1].first))
    ranks: Counter[tuple[str, str]] = Counter()
    rows: Rows = []
    digest = 0
    for (head, relation, tail), edge in ranked:
        rank = ranks[head, relation]
        ranks[head, relation] += 1
        digest ^= row_digest(ids[head], relation, rank, ids[tail], micro(edge.weight))
        symmetric = int(vocabulary.is_symmetric(relation))
        source = (edge.heaviest.dataset, edge.heaviest.license)
        rows.append((head, relation, symmetric, rank, tail, edge.weight, *source, len(edge.lines)))
    return rows, digest


def _retrievable(edges: Iterable[EdgeKey], vocabulary: Vocabulary) -> Counter[str]:
    """How many triples an answer could use start at each concept."""
    found: Counter[str] = Counter()
    for head, relation, tail in edges:
        if not vocabulary.is_retrievable(relation):
            continue
        found[head] += 1
        if vocabulary.is_symmetric(relation) and head != tail:
            found[tail] += 1
    return found


def row_digest(*columns: object) -> int:
    """A row's share of the fingerprint: the MD5 of its columns as a number.

    MD5 since DuckDB computes it too; nothing is kept secret by it.
    """
    text = ",".join(str(column) for column in columns)
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest(), "little")


def micro(weight: float) -> int:
    """A weight in millionths, so that it does not matter how an engine prints floats."""
    return math.floor(weight * 1e6 + 0.5)
