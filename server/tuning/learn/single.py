"""Which relations have one value at a time, so that a new value contradicts the one before."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from server.graph.concept import words_in
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.subject.english import FRAME_NOUNS


@dataclass(frozen=True, slots=True)
class SingleValued:
    """The relations that have one value of any subject, and those that have one of an attribute."""

    relations: frozenset[str]
    several: frozenset[str]
    """The relations that surely have several values. Of others it depends on what is answered."""
    saying: frozenset[str]
    attributes: frozenset[str]

    @classmethod
    def built_in(cls, vocabulary: Vocabulary) -> SingleValued:
        """Those of single.toml next to this file, by the vocabulary's names."""
        text = resources.files("server.tuning.learn").joinpath("single.toml").read_text("utf-8")
        table = tomllib.loads(text)
        return cls(
            frozenset(map(vocabulary.relation_said, table["relations"])),
            frozenset(map(vocabulary.relation_said, table["several"])),
            frozenset(map(vocabulary.relation_said, table["saying"])),
            frozenset(table["attributes"]) | FRAME_NOUNS,
        )

    def contradict(self, one: Triple, other: Triple) -> bool:
        """Whether not both can hold: other values of one thing that has one value."""
        if one.slot != other.slot or one.tail == other.tail:
            return False
        if one.relation in self.relations:
            return True
        if one.relation not in self.saying:
            return False
        key = one.head.key
        return key in self.attributes or not self.attributes.isdisjoint(words_in(key))
