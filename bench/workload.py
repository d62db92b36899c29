"""What the benchmarks ask about: invented triples of everyday concepts, the same in every run."""

from __future__ import annotations

import random
from pathlib import Path

from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, verbalize
from server.tuning.ports import Branch
from server.tuning.templates import reasoning_prompt, retrieval_prompt
from testbed.bases import BaseTriple, build_base

_SUBJECTS = [
    "dog",
    "cat",
    "horse",
    "teacher",
    "doctor",
    "bicycle",
    "garden",
    "kitchen",
    "river",
    "winter",
    "coffee",
    "bread",
    "guitar",
    "library",
    "airport",
]
_VERBS = ["enjoy", "need", "like", "use", "want", "fear", "avoid", "find"]
_ADJECTIVES = ["old", "red", "small", "quiet", "warm", "fresh", "long", "heavy", "bright", "wooden"]
_NOUNS = [
    "meat",
    "walk",
    "ball",
    "park",
    "bone",
    "sofa",
    "water",
    "garden",
    "toy",
    "field",
    "basket",
    "blanket",
    "stick",
    "music",
    "book",
    "table",
    "bridge",
    "market",
    "song",
    "letter",
    "window",
    "lamp",
    "road",
    "boat",
    "apple",
    "cup",
    "chair",
    "hill",
    "coat",
    "bell",
]

VOCABULARY = Vocabulary.built_in()

FEEDBACK = "fresh vegetables"
"""What users want as the answer. No triple has it."""


def subjects(count: int | None = None) -> list[str]:
    """Distinct names of concepts: `count` of them, else all."""
    return [f"{a} {s}" if a else s for a in ["", *_ADJECTIVES] for s in _SUBJECTS][:count]


def query(subject: str) -> str:
    """What a user asks about `subject`."""
    return f"What does a {subject} {_VERBS[len(subject) % len(_VERBS)]}?"


def triples(subject: str, count: int) -> list[Triple]:
    """`count` triples that start at `subject`.

    They have ten relations, and tails of one to three words.
    """
    rng = random.Random(f"{subject}-{count}")
    relations = [r.name for r in VOCABULARY.retrievable()][:10]
    tails = [
        " ".join(filter(None, (a, b, n)))
        for n in _NOUNS
        for a in ("", "a", "the")
        for b in ("", *_ADJECTIVES)
    ]
    rng.shuffle(tails)
    return [
        Triple(Concept.of(subject), relations[n % 10], Concept.of(tail))
        for n, tail in enumerate(tails[:count])
    ]


def questions(subject: str, count: int) -> list[Branch]:
    """What a Personalize asks about `count` triples.

    That is p(r) of their relations, and for each triple the probability of two answers.
    """
    given = triples(subject, count)
    relations = list(dict.fromkeys(z.relation for z in given))
    phrases = tuple(f" {VOCABULARY.phrase(r)}" for r in relations)
    answers = (f" {FEEDBACK}", f" {given[0].tail.text}")
    return [
        Branch(retrieval_prompt(query(subject), subject), phrases),
        *(
            Branch(reasoning_prompt(query(subject), [verbalize(z, VOCABULARY)]), answers)
            for z in given
        ),
    ]


def build_graph(folder: Path, concepts: int, triples_each: int) -> None:
    """Build a base graph in `folder` that the queries about its concepts are asked on."""
    every = [z for s in subjects(concepts) for z in triples(s, triples_each)]
    build_base(folder, [BaseTriple(z, 1 + n % 7) for n, z in enumerate(every)], VOCABULARY)
