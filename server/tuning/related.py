"""Relations that are named together: what a list that the model generates is likely to be."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from server.graph.relation import Vocabulary
from server.tuning.templates import SEPARATOR

_ANY = "is named"
"""Stands for any relation that has no row of its own."""


@dataclass(frozen=True, slots=True)
class RelatedRelations:
    """What is likely to be listed after each relation, and by the answer's kind after any other."""

    relations: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, tuple[str, ...]]

    @classmethod
    def built_in(cls) -> RelatedRelations:
        """Those of related.toml next to this file."""
        text = resources.files("server.tuning").joinpath("related.toml").read_text("utf-8")
        tables = tomllib.loads(text)
        return cls(_rows(tables["relations"]), _rows(tables["kinds"]))

    def lists(self, likely: Sequence[str], k: int, vocabulary: Vocabulary) -> tuple[str, ...]:
        """Lists of `k` relations that the model may generate, as texts, the likeliest first.

        `likely` are the relations with which it may begin, the likeliest first.
        """
        anything = self.kinds["thing"]
        heads = [
            *likely,
            *self.relations,
            *(relation.name for relation in vocabulary.retrievable()),
        ]
        rows = [(head, *self.relations.get(head, anything)) for head in dict.fromkeys(heads)]
        first = len(dict.fromkeys(likely))
        rows[first:first] = [(_ANY, *row) for row in self.kinds.values()]
        return tuple(_listed(dict.fromkeys(row), k, vocabulary) for row in rows)


def _rows(table: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(row) for name, row in table.items()}


def _listed(names: Mapping[str, None], k: int, vocabulary: Vocabulary) -> str:
    phrases = [vocabulary.phrase(name) for name in names][:k]
    return " " + f" {SEPARATOR} ".join(phrases)
