"""The relations from subject to object that make up the personalized triple set H (section 4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.graph.checks import is_relation_name
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.templates import SEPARATOR

TOKENS_PER_RELATION = 12
"""How many tokens a generated relation may take, with its separator."""


def parse_relations(generated: str, vocabulary: Vocabulary, k: int) -> tuple[str, ...]:
    """The first `k` distinct relations in the text `r_1 <sep> r_2 <sep> ...`.

    A phrase of a known relation becomes that relation. Any other text becomes a personal relation.
    """
    names = []
    for text in generated.split(SEPARATOR):
        name = vocabulary.relation_said(text)
        if is_relation_name(name) and any(c.isalpha() for c in name):
            names.append(name)
    return tuple(dict.fromkeys(names))[:k]


def filled_up(names: Sequence[str], ranked: Iterable[str], k: int) -> tuple[str, ...]:
    """`names`, followed by the best of `ranked` that are not among them; at most `k`."""
    return tuple(dict.fromkeys([*names, *ranked]))[:k]


def personalized_triples(
    subject: Concept, relations: Sequence[str], object: Concept
) -> tuple[Triple, ...]:
    """H(q, a, K): (e_q, r_k, e_a) for each relation."""
    return tuple(dict.fromkeys(Triple(subject, relation, object) for relation in relations))
