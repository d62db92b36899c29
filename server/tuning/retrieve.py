"""The use case Retrieve: the facts that Answer would read, for a prompt of the caller's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.graph.neighborhood import ViewedTriple
from server.tuning.answer import Answerer, Found, ViewQuery
from server.tuning.cost import Cost, CostMeter
from server.tuning.facts import RetrievalRules, facts_for_answer
from server.tuning.subject.choice import Match

_OWN = 'What the user has told ("I" and "my" are the user\'s):'
_SHARED = "What is generally known:"


@dataclass(frozen=True, slots=True)
class RetrieveQuery(ViewQuery):
    """What Retrieve is asked. Without `max_facts`, there are as many as Answer reads."""

    max_facts: int | None = None


@dataclass(frozen=True, slots=True)
class WordedFact:
    """A fact in words, P(z|q), and the id of the edit that made it; empty for one of the base."""

    viewed: ViewedTriple
    words: str
    retrieval_probability: float
    edit_id: str = ""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The facts, in the order in which Answer reads them."""

    subject: Match
    alternatives: tuple[Match, ...]
    facts: tuple[WordedFact, ...]
    revision: int
    cost: Cost

    @property
    def context(self) -> str:
        """The facts as one text for a prompt, a line each; empty where there are none."""
        own = [fact.words for fact in self.facts if fact.viewed.is_personal]
        shared = [fact.words for fact in self.facts if not fact.viewed.is_personal]
        return "\n".join([*_listed(_OWN, own), *_listed(_SHARED, shared)])


class Librarian:
    """Finds facts with an answerer's means, and generates nothing."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    async def retrieve(self, query: RetrieveQuery) -> Retrieved:
        """The facts, with one question to the model, or two.

        Raises RevisionNotReached and UnknownRevision.
        """
        meter = CostMeter()
        found = await self._answerer.found(query, meter, {}, at_once=True)
        return Retrieved(
            subject=found.choice.match,
            alternatives=found.choice.alternatives,
            facts=tuple(_worded(viewed, found) for viewed in self._chosen(query, found)),
            revision=found.revision,
            cost=meter.total(),
        )

    def _chosen(self, query: RetrieveQuery, found: Found) -> Sequence[ViewedTriple]:
        """The first facts of the order in which Answer reads them."""
        retrieval, most = found.retrieval, query.max_facts
        if most is None:
            return retrieval.facts
        rules = _at_most(most, self._answerer.rules.retrieval)
        return facts_for_answer(retrieval.view, retrieval.probabilities, rules)


def _at_most(most: int, rules: RetrievalRules) -> RetrievalRules:
    return replace(rules, facts=most, values=min(most, rules.values))


def _worded(viewed: ViewedTriple, found: Found) -> WordedFact:
    taught = found.retrieval.personal.get(viewed.triple) if viewed.is_personal else None
    return WordedFact(
        viewed,
        found.scorer.said(viewed.triple),
        found.probability(viewed),
        taught.edit_id if taught is not None else "",
    )


def _listed(heading: str, words: Sequence[str]) -> list[str]:
    return [heading, *(f"- {said}" for said in words)] if words else []
