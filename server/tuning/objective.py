"""The paper's Equations 1 to 7 on probabilities that the model gave. Pure arithmetic, in nats.

P(z|q) has two forms. As printed, Eq. 5 shares it out by p(r) among the triples that start at e_q.
The default mode has personal triples from anywhere in the overlay, each with a scope weight k(q,z):
the base's triples together weigh 1, shared out by Eq. 5, and a personal triple weighs k(q,z).

Symbols: q query, a feedback, z a triple that starts at e_q, G the user's view, H the personalized
triple set. docs/algorithm.md has the table of symbols and a worked example.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Triple
from server.tuning.ports import ContinuationLogprob, Normalization


class MissingProbabilities(Exception):
    """The model has not been asked for P(a|q,z) of these (triple, answer) pairs yet.

    Not an error of the request: the use case asks the model and computes again.
    """

    def __init__(self, pairs: Iterable[tuple[Triple, str]]) -> None:
        self.pairs = tuple(pairs)
        super().__init__(f"{len(self.pairs)} reasoning probabilities are missing")


def ln(p: float) -> float:
    """ln P, minus infinity for 0."""
    return math.log(p) if p > 0 else -math.inf


def comparable(p: float) -> float:
    """ln P to four decimals, for decisions: ties are broken by their rule and not by noise.

    The hardware may round differently depending on what else runs in the same forward pass. Numbers
    that it could have swapped are equal here, and the order in which they came decides.
    """
    return round(ln(p), 4)


def probability(logprob: ContinuationLogprob, normalization: Normalization = "mean") -> float:
    """P of a continuation: exp of the mean of its tokens' log-probabilities, or of their sum."""
    return math.exp(logprob.total / logprob.tokens if normalization == "mean" else logprob.total)


@dataclass(frozen=True, slots=True)
class Probabilities:
    """What the model said about one query.

    `relations[r]` is P(r | T_retrieve(q)); `reasoning[z, a]` is P(a | T_reasoning(q, z)), Eq. 6.
    `scopes[z]` is the scope weight k(q,z) of a personal triple that the query is about. With
    `literal`, P(z|q) is Eq. 5 as printed, and scope weights only order the facts of an answer.
    """

    relations: Mapping[str, float] = field(default_factory=dict)
    reasoning: Mapping[tuple[Triple, str], float] = field(default_factory=dict)
    scopes: Mapping[Triple, float] = field(default_factory=dict)
    literal: bool = False

    def reasoning_of(self, triple: Triple, answer: str) -> float:
        """P(a|q,z). Raises MissingProbabilities."""
        try:
            return self.reasoning[triple, answer]
        except KeyError:
            raise MissingProbabilities([(triple, answer)]) from None

    def with_reasoning(self, more: Mapping[tuple[Triple, str], float]) -> Probabilities:
        return replace(self, reasoning={**self.reasoning, **more})

    def with_relations(self, more: Mapping[str, float]) -> Probabilities:
        return replace(self, relations={**self.relations, **more})

    def with_scopes(self, more: Mapping[Triple, float]) -> Probabilities:
        """With scope weights; those of an equal triple are replaced."""
        return replace(self, scopes={**self.scopes, **more})

    def scope_in_retrieval(self, viewed: ViewedTriple) -> float | None:
        """k(q,z) if P(z|q) depends on it; None for the base's triples and in literal mode."""
        if self.literal or not viewed.is_personal:
            return None
        return self.scopes.get(viewed.triple)


class RetrievalWeights:
    """What P(z|q) is proportional to, for the triples of one view, and the sum of it."""

    def __init__(self, view: Neighborhood, probabilities: Probabilities) -> None:
        self._probabilities = probabilities
        scoped = [k for v in view if (k := probabilities.scope_in_retrieval(v)) is not None]
        plain = math.fsum(_plain_mass(view, probabilities))
        self._unit = 1.0 if probabilities.literal or plain == 0 else 1 / plain
        self.total = math.fsum([*scoped, plain * self._unit])

    def of(self, viewed: ViewedTriple) -> float:
        """The weight of a triple of the view."""
        scope = self._probabilities.scope_in_retrieval(viewed)
        if scope is not None:
            return scope
        return self._probabilities.relations[viewed.triple.relation] * self._unit


def _plain_mass(view: Neighborhood, probabilities: Probabilities) -> Iterator[float]:
    """p(r) of every triple without a scope weight, each counted, relation by relation."""
    for part in view.slices:
        scoped = sum(probabilities.scope_in_retrieval(v) is not None for v in part.personal)
        if part.count > scoped:
            yield (part.count - scoped) * probabilities.relations[part.relation]


def retrieval_probability(
    triple: Triple, view: Neighborhood, probabilities: Probabilities
) -> float:
    """P(z|q), Eq. 5 or its default form; 0 for a triple outside the view."""
    viewed = view.find(triple)
    if viewed is None:
        return 0.0
    weights = RetrievalWeights(view, probabilities)
    return weights.of(viewed) / weights.total


def posterior(personalized: Sequence[Triple]) -> dict[Triple, float]:
    """Q(z|q,a), Eq. 3: uniform over H, however many triples it has."""
    return {z: 1 / len(personalized) for z in personalized}


def retrieval_loss(
    personalized: Sequence[Triple], view: Neighborhood, probabilities: Probabilities
) -> float:
    """L_retrieve, Eq. 4: -(1/|H|) sum over H of ln P(z|q), without the constant -ln|H| of Eq. 8.

    Infinite as long as a triple of H is outside the view.
    """
    return -math.fsum(
        q * ln(retrieval_probability(z, view, probabilities))
        for z, q in posterior(personalized).items()
    )


def reasoning_loss(
    personalized: Sequence[Triple], feedback: str, probabilities: Probabilities
) -> float:
    """L_reasoning, Eq. 6: -(1/|H|) sum over H of ln P(a|q,z)."""
    return -math.fsum(
        q * ln(probabilities.reasoning_of(z, feedback)) for z, q in posterior(personalized).items()
    )


def loss(
    personalized: Sequence[Triple], feedback: str, view: Neighborhood, probabilities: Probabilities
) -> float:
    """L, Eq. 7: Eq. 4 plus Eq. 6."""
    retrieval = retrieval_loss(personalized, view, probabilities)
    return retrieval + reasoning_loss(personalized, feedback, probabilities)


def minimal_loss(
    personalized: Sequence[Triple], feedback: str, probabilities: Probabilities
) -> float:
    """L_min, the smallest possible Eq. 7: L_reasoning + ln|H|.

    It is reached when all retrieval mass is on H, in equal parts.
    """
    return reasoning_loss(personalized, feedback, probabilities) + math.log(len(personalized))


def evidence_lower_bound(
    personalized: Sequence[Triple], feedback: str, view: Neighborhood, probabilities: Probabilities
) -> float:
    """The right side of Eq. 2: E_Q[ln P(a|q,z)] - KL(Q || P(z|q)).

    It is -(Eq. 7) + ln|H|, and at most ln P(a|q).
    """
    divergence = math.fsum(
        q * (math.log(q) - ln(retrieval_probability(z, view, probabilities)))
        for z, q in posterior(personalized).items()
    )
    return -reasoning_loss(personalized, feedback, probabilities) - divergence


def answer_probability(
    answer: str, facts: Sequence[ViewedTriple], probabilities: Probabilities
) -> float:
    """P(a|q), Eq. 1, over the facts that an answer rests on: the sum of P(a|q,z) P(z|q).

    P(z|q) is renormalised over `facts`. 0 without facts.
    """
    weights = fact_weights(facts, probabilities)
    total = math.fsum(weights)
    if total == 0:
        return 0.0
    weighted = (
        weight * probabilities.reasoning_of(viewed.triple, answer)
        for weight, viewed in zip(weights, facts, strict=True)
    )
    return math.fsum(weighted) / total


def fact_weights(facts: Sequence[ViewedTriple], probabilities: Probabilities) -> list[float]:
    """What P(z|q) is proportional to among `facts` only, in their order."""
    scopes = [probabilities.scope_in_retrieval(viewed) for viewed in facts]
    plain = [
        probabilities.relations[viewed.triple.relation] if scope is None else 0.0
        for viewed, scope in zip(facts, scopes, strict=True)
    ]
    mass = math.fsum(plain)
    unit = 1.0 if probabilities.literal or mass == 0 else 1 / mass
    return [p * unit if scope is None else scope for p, scope in zip(plain, scopes, strict=True)]
