"""Which relations have one value at a time, so that a new value contradicts the one before."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from server.graph.concept import words_in
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.learn.relations import declared_as
from server.tuning.subject.english import FRAME_NOUNS


@dataclass(frozen=True, slots=True)
class SingleValued:
    """The relations that have one value of any subject, and those that have one of an attribute."""

    vocabulary: Vocabulary
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

        def named(phrases: Sequence[str]) -> frozenset[str]:
            return frozenset(declared_as(phrase, vocabulary) for phrase in phrases)

        return cls(
            vocabulary,
            named(table["relations"]),
            named(table["several"]),
            named(table["saying"]),
            frozenset(table["attributes"]) | FRAME_NOUNS,
        )

    def is_usual(self, relation: str) -> bool:
        """Whether it is known how many values a relation has."""
        return declared_as(relation, self.vocabulary) in self.relations | self.several

    def has_one(self, relation: str) -> bool:
        """Whether a relation surely has one value."""
        return declared_as(relation, self.vocabulary) in self.relations

    def has_several(self, relation: str) -> bool:
        """Whether a relation surely has several values."""
        return declared_as(relation, self.vocabulary) in self.several

    def share_slot(self, one: Triple, other: Triple) -> bool:
        """Whether two triples say the same kind of thing of one concept."""
        of_one, of_other = (declared_as(z.relation, self.vocabulary) for z in (one, other))
        return one.head == other.head and of_one == of_other

    def contradict(self, one: Triple, other: Triple) -> bool:
        """Whether not both can hold: other values of one thing that has one value."""
        if not self.share_slot(one, other) or one.tail == other.tail:
            return False
        relation = declared_as(one.relation, self.vocabulary)
        if relation in self.relations:
            return True
        if relation not in self.saying:
            return False
        key = one.head.key
        return key in self.attributes or not self.attributes.isdisjoint(words_in(key))
