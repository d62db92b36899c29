"""What the measurements ask: invented triples of everyday concepts, the same in every run."""

from __future__ import annotations

import random

from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, verbalize
from server.tuning.ports import Branch
from server.tuning.templates import reasoning_prompt, retrieval_prompt

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


def subjects(count: int) -> list[str]:
    """Distinct names of concepts."""
    return [f"{a} {s}" if a else s for a in ["", *_ADJECTIVES] for s in _SUBJECTS][:count]


def query(subject: str) -> str:
    return f"What does a {subject} {_VERBS[len(subject) % len(_VERBS)]}?"


def triples(subject: str, count: int) -> list[Triple]:
    """`count` triples that start at `subject`, over ten relations, with tails of one to three
    words."""
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
    """What a Personalize asks about `count` triples: p(r) of their relations; of each triple P of
    two answers."""
    given = triples(subject, count)
    relations = list(dict.fromkeys(z.relation for z in given))
    phrases = tuple(f" {VOCABULARY.phrase(r)}" for r in relations)
    answers = (" fresh vegetables", f" {given[0].tail.text}")
    return [
        Branch(retrieval_prompt(query(subject), subject), phrases),
        *(
            Branch(reasoning_prompt(query(subject), [verbalize(z, VOCABULARY)]), answers)
            for z in given
        ),
    ]
