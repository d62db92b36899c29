"""Asks for what a message says, in the view with it and in the view without it.

What the service would not answer with is not worth keeping. All facts are asked for at once, so
that they share the model's passes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.graph.concept import ARTICLES, Concept, words_in
from server.graph.edit import Edit, Scope, TripleProbabilities, answered_share
from server.graph.neighborhood import ViewedTriple
from server.graph.triple import Triple, canonical, verbalize
from server.tuning.answer import Answerer
from server.tuning.cost import CostMeter
from server.tuning.key_rows import packed
from server.tuning.learn.filing import Filed
from server.tuning.learn.single import SingleValued
from server.tuning.objective import answer_probability, retrieval_probability
from server.tuning.question import WORDINGS, question_of
from server.tuning.recall import UserFacts
from server.tuning.retrieval import Looked, Retrieval
from server.tuning.scoring import Scorer
from server.tuning.subject.choice import USER_CONCEPT
from server.tuning.subject.english import FORMS_OF_BE, FUNCTION_WORDS
from server.tuning.texts import says

_SURE = 0.5
"""P(a|q) from which on a value counts as given back, whatever the answer's words."""
_SURE_ALONE = 0.4
"""P(a|q,z) from which on the model would answer with a fact if it were the only one."""
_LONG_VALUE = 6
"""Words of a value that is more than a name or a thing."""
_BARE = ARTICLES | FORMS_OF_BE | {"has", "have"}
"""The words of relations that any value may follow."""
_FIRST_WORDS = 4
"""Of a long value, what these words name is what it is: "renowned architect known for ..."."""
_PART_WORDS = 2
"""So many words of a value that say something are enough to say it, or half of them."""
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

    `words` are the fact's own, and ask for it without their value ("my dog likes"). Where they
    hardly say anything then ("I is"), the user's own words up to the value do ("I'm").
    """
    if fact.taught_by not in ("", fact.source):
        return fact.taught_by
    tail, source = fact.triple.tail.text, fact.source
    if not _is_bare(fact):
        return _without(words, tail)
    before, found, _ = source.casefold().partition(tail.casefold())
    own = source[: len(before)].strip()
    is_aligned = bool(found) and len(source.casefold()) == len(source)
    if is_aligned and fact.taught_by == source and len(own.split()) >= _LEAST_WORDS:
        return own
    return _without(words, tail)


def scope_text(fact: Filed, words: str) -> str:
    """The text by whose key a fact is found: the question that it answers, if there was one.

    `words` are the fact's own. Without the value they are nearest to most questions ("my sister
    lives in"), and with it to others ("I likes jazz": which music?), so both count, unless they
    hardly say anything without it ("I is"). So does what said it, which is nearest to most
    questions in other words. A long value, which questions repeat, is asked for in no others.
    """
    if fact.taught_by not in ("", fact.source):
        return fact.taught_by
    tail = fact.triple.tail.text
    if len(words_in(tail)) > _LONG_VALUE:
        return fact.taught_by or words
    wordings = [words] if _is_bare(fact) else [_without(words, tail), words]
    if fact.taught_by:
        wordings.append(fact.taught_by)
    return WORDINGS.join(dict.fromkeys(wordings))


def _is_of_user(fact: Filed) -> bool:
    return fact.owned or fact.triple.head == USER_CONCEPT


def _is_bare(fact: Filed) -> bool:
    return set(words_in(fact.triple.relation)) <= _BARE


def _without(words: str, tail: str) -> str:
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
        self._listed: Counter[tuple[Concept, str]] = Counter()

    async def begin(self, facts: Sequence[Filed]) -> list[Asked]:
        """What asks for each of `facts`, and what the store has for that."""
        self._listed = Counter(fact.triple.slot for fact in facts)
        return list(await asyncio.gather(*map(self._begun, facts)))

    async def scopes(self, asked: Sequence[Asked]) -> list[Scope]:
        """What each fact answers, with its key. All that this needs is asked in one pass."""
        if not asked:
            return []
        texts = [question_of(scope_text(one.fact, self._words(one.fact))) for one in asked]
        of_texts = asyncio.create_task(asked[0].scorer.keys(texts, (), {}))
        of_user = (self._answered(one) for one in asked if _is_of_user(one.fact))
        await asyncio.gather(of_texts, *of_user, *map(self._foresee, asked))
        keys, _ = of_texts.result()
        fingerprint = self._answerer.model.key_fingerprint
        answered = [await self._answered(one) for one in asked]  # all of it is known by now
        return [
            Scope(text, packed(key), fingerprint, one.fact.owned, share)
            for one, text, key, share in zip(asked, texts, keys, answered, strict=True)
        ]

    async def replies(self, asked: Sequence[Asked], edit: Edit) -> list[Replied]:
        """What is answered in the view that `edit` would make, for each of the facts."""
        if not asked:
            return []
        later = asked[0].looked.personal.after([edit])
        later.learn_stored(self._answerer.model.key_fingerprint)
        return list(await asyncio.gather(*(self._replied(one, later) for one in asked)))

    def _words(self, fact: Filed) -> str:
        return verbalize(fact.triple, self._answerer.vocabulary, owned=fact.owned)

    async def _begun(self, fact: Filed) -> Asked:
        answerer = self._answerer
        query = asks_for(fact, self._words(fact))
        choice = await answerer.subject_of(self._user, query, None, None)
        looked = await answerer.retriever.look(
            self._user, choice, answerer.rules.neighborhood_limit
        )
        subject = choice.match.concept
        scorer = answerer.scorer(self._user, query, subject, self._meter, {})
        if fact.owned:
            scorer.owned.add(fact.triple)
        return Asked(fact, scorer, looked)

    async def _answered(self, one: Asked) -> float:
        """P(a|q,z) for what asks for the fact, with which that for each query is compared.

        To the beginning of what users say of themselves in the fact's own words, the model gives
        the value more readily than to any question, so that their sentence takes its place.
        """
        fact, asks = one.fact, one.scorer
        if fact.taught_by and _is_of_user(fact):
            asks = replace(asks, query=question_of(fact.taught_by))
        reasoning = await asks.reasoning({fact.triple: [one.tail]})
        return answered_share(reasoning[fact.triple, one.tail])

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
            self._is_told(one.fact, share)
            or (
                found is not None
                and (
                    probability_after >= _SURE or self._is_given(found, answer, share, after.facts)
                )
            ),
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

    def _is_told(self, fact: Filed, share: float) -> bool:
        """Whether it is enough that the model would answer with a fact if it were the only one.

        So it is where no question is behind what asks for it: of "I is" and "Ann Lee is a", any of
        several facts is the end.
        """
        of_somebody = not fact.owned and fact.taught_by in ("", fact.source)
        return of_somebody and _is_bare(fact) and share >= _SURE_ALONE

    def _is_given(
        self, fact: Triple, answer: str, share: float, facts: Sequence[ViewedTriple]
    ) -> bool:
        """Whether an answer gives a fact back.

        Of several values the answer may name another one, if the fact alone would be answered with.
        Those that one message lists are several.
        """
        tails = {viewed.triple.tail.text for viewed in facts}
        if gives(answer, fact.tail.text, tails):
            return True
        siblings = [v.triple.tail.text for v in facts if v.triple.slot == fact.slot]
        are_several = self._single.has_several(fact.relation) or self._listed[fact.slot] > 1
        is_one_of_several = are_several and share >= _SURE_ALONE
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
    part = f" {' '.join(given)} "
    if not given or part not in f" {' '.join(value)} ":
        return False
    is_named_first = len(value) > _LONG_VALUE and part in f" {' '.join(value[:_FIRST_WORDS])} "
    return _tells(given) >= (1 if is_named_first else min(_PART_WORDS, _tells(value) / 2))


def _tells(words: Sequence[str]) -> int:
    """How many of the words say something."""
    return sum(word not in FUNCTION_WORDS for word in words)
