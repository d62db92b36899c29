"""Asks for what a message says, in the view with it and in the view without it.

What the service would not answer with is not worth keeping. All facts are asked for at once, so
that they share the model's passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.graph.concept import words_in
from server.graph.edit import Edit, Scope, TripleProbabilities, answered_share
from server.graph.neighborhood import ViewedTriple
from server.graph.triple import Triple, canonical, verbalize
from server.tuning.answer import Answerer
from server.tuning.cost import CostMeter
from server.tuning.key_rows import packed
from server.tuning.learn.filing import Filed
from server.tuning.learn.single import SingleValued
from server.tuning.objective import answer_probability, retrieval_probability
from server.tuning.question import question_of
from server.tuning.recall import UserFacts
from server.tuning.retrieval import Looked, Retrieval
from server.tuning.scoring import Scorer
from server.tuning.texts import says

_SURE_ALONE = 0.5
"""P(a|q,z) from which on the model would answer with a fact if it were the only one."""
_LEAST_WORDS = 2
"""Words of a message before a value that ask for it on their own: "My boss is"."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A fact, what asks for it, and what was read from the store for that."""

    fact: Filed
    scorer: Scorer
    looked: Looked

    @property
    def query(self) -> str:
        return self.scorer.query

    @property
    def tail(self) -> str:
        return self.fact.triple.tail.text


@dataclass(frozen=True, slots=True)
class Replied:
    """What the service answers in the view with the fact, and how probable that is."""

    query: str
    answer: str
    is_given_back: bool
    probability_before: float
    probability_after: float
    probabilities: TripleProbabilities


def asks_for(fact: Filed, words: str) -> str:
    """What asks for a fact: the question that it answers, if there was one.

    Otherwise the user's own words up to its value ("My doctor's name is"), or those of the fact
    ("my dog likes").
    """
    if fact.taught_by not in ("", fact.source):
        return fact.taught_by
    tail, source = fact.triple.tail.text, fact.source
    before, found, _ = source.casefold().partition(tail.casefold())
    own = source[: len(before)].strip()
    is_aligned = bool(found) and len(source.casefold()) == len(source)
    if is_aligned and fact.taught_by == source and len(words_in(own)) >= _LEAST_WORDS:
        return own
    return words.removesuffix(tail).strip()


class Asking:
    """Asks one user's service for facts. The memory of what was asked is the user's."""

    def __init__(
        self, answerer: Answerer, user: str, meter: CostMeter, single: SingleValued
    ) -> None:
        self._answerer = answerer
        self._user = user
        self._meter = meter
        self._single = single

    async def begin(self, facts: Sequence[Filed]) -> list[Asked]:
        """What asks for each of `facts`, and what the store has for that."""
        return list(await asyncio.gather(*map(self._begun, facts)))

    async def scopes(self, asked: Sequence[Asked]) -> list[Scope]:
        """What each fact answers, with its key. All that this needs is asked in one pass."""
        if not asked:
            return []
        texts = [one.fact.taught_by or one.scorer.said(one.fact.triple) for one in asked]
        texts = list(map(question_of, texts))
        of_texts = asyncio.create_task(asked[0].scorer.keys(texts, (), {}))
        await asyncio.gather(of_texts, *map(self._foresee, asked))
        keys, _ = of_texts.result()
        fingerprint = self._answerer.model.key_fingerprint
        scopes = []
        for one, text, key in zip(asked, texts, keys, strict=True):
            reasoning = await one.scorer.reasoning({one.fact.triple: [one.tail]})
            answered = answered_share(reasoning[one.fact.triple, one.tail])
            scopes.append(Scope(text, packed(key), fingerprint, one.fact.owned, answered))
        return scopes

    async def replies(self, asked: Sequence[Asked], edit: Edit) -> list[Replied]:
        """What is answered in the view that `edit` would make, for each of the facts."""
        if not asked:
            return []
        later = asked[0].looked.personal.after([edit])
        later.learn_stored(self._answerer.model.key_fingerprint)
        return list(await asyncio.gather(*(self._replied(one, later) for one in asked)))

    async def _begun(self, fact: Filed) -> Asked:
        answerer = self._answerer
        words = verbalize(fact.triple, answerer.vocabulary, owned=fact.owned)
        query = asks_for(fact, words)
        choice = await answerer.subject_of(self._user, query, None, None)
        looked = await answerer.retriever.look(
            self._user, choice, answerer.rules.neighborhood_limit
        )
        subject = choice.match.concept
        scorer = answerer.scorer(self._user, query, subject, self._meter, {})
        if fact.owned:
            scorer.owned.add(fact.triple)
        return Asked(fact, scorer, looked)

    async def _foresee(self, one: Asked) -> None:
        relations = [part.relation for part in one.looked.view.slices]
        await one.scorer.foresee(relations, {one.fact.triple: [one.tail]}, None)

    async def _replied(self, one: Asked, later: UserFacts) -> Replied:
        answerer, scorer = self._answerer, one.scorer
        before = await answerer.retriever.recall(scorer, one.looked)
        after = await answerer.retriever.recall(scorer, replace(one.looked, personal=later))
        request = answerer.generation(scorer, after.facts, likely=[one.tail])
        answer, probability_before, probability_after = await asyncio.gather(
            answerer.generated(request, self._meter),
            self._probability(one, before),
            self._probability(one, after),
        )
        found = self._found(one.fact.triple, after.facts)
        reasoning = await scorer.reasoning({one.fact.triple: [one.tail]})
        share = reasoning[one.fact.triple, one.tail]
        return Replied(
            one.query,
            answer,
            found is not None and self._is_given(found, answer, share, after.facts),
            probability_before,
            probability_after,
            TripleProbabilities(
                retrieval_before=0.0,
                retrieval_after=retrieval_probability(found, after.view, after.probabilities)
                if found is not None
                else 0.0,
                reasoning=share,
            ),
        )

    def _is_given(
        self, fact: Triple, answer: str, share: float, facts: Sequence[ViewedTriple]
    ) -> bool:
        """Whether an answer gives a fact back.

        Of several values the answer may name another one, if the fact alone would be answered with.
        """
        tails = {viewed.triple.tail.text for viewed in facts}
        if gives(answer, fact.tail.text, tails):
            return True
        siblings = [v.triple.tail.text for v in facts if v.triple.slot == fact.slot]
        is_one_of_several = fact.relation in self._single.several and share >= _SURE_ALONE
        return is_one_of_several and any(gives(answer, tail, tails) for tail in siblings)

    def _found(self, triple: Triple, facts: Sequence[ViewedTriple]) -> Triple | None:
        """The fact among those of an answer, read from whichever end."""
        vocabulary = self._answerer.vocabulary
        stored = canonical(triple, vocabulary)
        of_answer = (viewed.triple for viewed in facts)
        return next((z for z in of_answer if canonical(z, vocabulary) == stored), None)

    async def _probability(self, one: Asked, found: Retrieval) -> float:
        """P(a|q) of the fact's tail, by Eq. 1 over the facts of an answer."""
        if not found.facts:
            [plain] = await one.scorer.plain([one.tail])
            return plain
        wanted = {viewed.triple: [one.tail] for viewed in found.facts}
        known = found.probabilities.with_reasoning(await one.scorer.reasoning(wanted))
        return answer_probability(one.tail, found.facts, known)


def gives(answer: str, tail: str, others: set[str]) -> bool:
    """Whether an answer says a value: on its own, as one of several, or the most part of it."""
    if says(answer, tail, others):
        return True
    given, value = words_in(answer), words_in(tail)
    if f" {' '.join(value)} " in f" {' '.join(given)} ":
        return True
    is_part = bool(given) and f" {' '.join(given)} " in f" {' '.join(value)} "
    return is_part and 2 * len(given) >= len(value)
