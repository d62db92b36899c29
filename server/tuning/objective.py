"""The paper's Equations 1 to 7 on probabilities that the model gave. Pure arithmetic, in nats.

Symbols: q query, a feedback, z a triple that starts at e_q, G the user's view, H the personalized
triple set. docs/algorithm.md has the table of symbols and a worked example.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from server.graph.neighborhood import Neighborhood
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
    """

    relations: Mapping[str, float] = field(default_factory=dict)
    reasoning: Mapping[tuple[Triple, str], float] = field(default_factory=dict)

    def reasoning_of(self, triple: Triple, answer: str) -> float:
        """P(a|q,z). Raises MissingProbabilities."""
        try:
            return self.reasoning[triple, answer]
        except KeyError:
            raise MissingProbabilities([(triple, answer)]) from None

    def with_reasoning(self, more: Mapping[tuple[Triple, str], float]) -> Probabilities:
        return Probabilities(self.relations, {**self.reasoning, **more})

    def with_relations(self, more: Mapping[str, float]) -> Probabilities:
        return Probabilities({**self.relations, **more}, self.reasoning)


def retrieval_normalizer(view: Neighborhood, probabilities: Probabilities) -> float:
    """The denominator of Eq. 5: the sum of p(r) over all triples of the view, each counted."""
    return math.fsum(s.count * probabilities.relations[s.relation] for s in view.slices)


def retrieval_probability(
    triple: Triple, view: Neighborhood, probabilities: Probabilities
) -> float:
    """P(z|q), Eq. 5: p(r) / sum p(r'); 0 for a triple outside the view."""
    if view.find(triple) is None:
        return 0.0
    return probabilities.relations[triple.relation] / retrieval_normalizer(view, probabilities)


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
    answer: str, triples: Sequence[Triple], probabilities: Probabilities
) -> float:
    """P(a|q), Eq. 1, over the facts that an answer rests on: the sum of P(a|q,z) P(z|q).

    P(z|q) is renormalised over `triples`. 0 without triples.
    """
    weights = [probabilities.relations[z.relation] for z in triples]
    total = math.fsum(weights)
    if total == 0:
        return 0.0
    weighted = (
        weight * probabilities.reasoning_of(z, answer)
        for weight, z in zip(weights, triples, strict=True)
    )
    return math.fsum(weighted) / total
