"""The base graph that every test of the suite starts from, and the triples that they add to it."""

from __future__ import annotations

from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from testbed.bases import BaseTriple

VOCABULARY = Vocabulary.built_in()
DOG = Concept.of("dog")
UNICODE = [
    "naïve café",
    "犬",
    "🐶 dog",
    "собака",
    "O'Brien's",
    'say "hi"',
    "a;b--c",
    "x" * 300,
    "50% off",
    "ﷺ",
]


def t(head: str, relation: str, tail: str) -> Triple:
    return Triple.of(head, relation, tail)


MEAT = t("dog", "Desires", "meat")
BONES = t("dog", "Desires", "bones")
KENNEL = t("dog", "AtLocation", "kennel")
PET = t("dog", "IsA", "pet")
CARROTS = t("dog", "Desires", "carrots")
SOFA = t("dog", "AtLocation", "sofa")
"""CARROTS and SOFA are not in the base."""
HUB = 10_000
"""How many triples start at the concept "hub"."""

BASE = [
    BaseTriple(MEAT, 4.0, "/d/test", "cc0"),
    BaseTriple(BONES, 3.0),
    BaseTriple(KENNEL, 2.0),
    BaseTriple(PET, 2.0),
    BaseTriple(t("dogs", "FormOf", "dog"), 1.0),
    BaseTriple(t("hot", "Antonym", "cold"), 1.0),
    BaseTriple(t("hot", "HasProperty", "warm"), 1.0),
    BaseTriple(t("me", "SimilarTo", "me"), 1.0),
    *(BaseTriple(t("dog", "HasA", f"part {n}"), float(n % 97)) for n in range(20)),
    *(BaseTriple(t("hub", "HasA", f"thing {n}"), float(HUB - n)) for n in range(HUB)),
    *(BaseTriple(t(text, "IsA", "text"), 1.0) for text in UNICODE),
]
