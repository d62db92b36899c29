"""What the model says about each probe: the nearest facts' keys, and whether it confirms them.

Facts are made and compared with the service's own parts, so that the figures are the service's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from evaluation.scopes.banks import Bank, Probe, Taught
from server.errors import InvalidRequest, SubjectNotFound
from server.graph.edit import Scope
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.tuning.answer import Answerer
from server.tuning.cost import CostMeter
from server.tuning.key_rows import packed
from server.tuning.personalize.command import PersonalizeCommand, PersonalizeRules
from server.tuning.personalize.inquiry import Inquiry
from server.tuning.ports import Branch, GenerateRequest, Key, LanguageModel, Snapshot
from server.tuning.question import question_of
from server.tuning.recall import Recalled, UserFacts
from server.tuning.relations import TOKENS_PER_RELATION, parse_relations
from server.tuning.retrieval import MOST_CONFIRMED, MOST_RECALLED, is_of_another, words_of
from server.tuning.subject.choice import USER_CONCEPT
from server.tuning.templates import extraction_prompt

LOWEST_FLOOR = 0.3
"""No smaller floor is tried: facts that are farther away are not asked to be confirmed."""
_USER = "scopes"
_TEXTS_AT_ONCE = 32
_REQUESTS_AT_ONCE = 24

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Filed:
    """A fact as Personalize would add it."""

    triple: Triple
    owned: bool
    answered: float
    """P(a|q,z) for the query that taught it."""


@dataclass(frozen=True, slots=True)
class Near:
    """A fact near a probe: the inner product of the keys, and P(tail|q,z)."""

    fact: str
    """As the model reads it."""
    product: float
    answered: float | None
    """P(tail|q,z), compared with the one for the query that taught the fact; None if not asked."""
    is_right: bool
    of_another: bool = False
    """Whether it is about a name that the probe does not mention: then it counts only if it is
    sure."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A probe, and the facts that may be the first that counts for it, the nearest first."""

    probe: Probe
    near: tuple[Near, ...]


class Weigher:
    """Asks one model about probes. Queries' subjects are found in the store of `answerer`."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._model = answerer.model
        self._filed: dict[Taught, Filed | None] = {}

    async def weigh(self, name: str, banks: Sequence[Bank]) -> list[Weighed]:
        """The probes of all users, in order. `name` is shown as they are worked on."""
        _say(f"{name}: reading keys")
        keys = await _keys(self._model, _texts(banks))
        _say(f"{name}: wording facts")
        taught = list(dict.fromkeys(fact for bank in banks for fact in bank.facts))
        new = [fact for fact in taught if fact not in self._filed]
        filed = await _a_few_at_once(self._file(fact) for fact in new)
        self._filed.update(zip(new, filed, strict=True))
        _say(f"{name}: asking for confirmation")
        return await _a_few_at_once(
            self._weighed(probe, bank, facts, keys)
            for bank in banks
            for facts in [self._user_facts(bank, keys)]
            for probe in bank.probes
        )

    async def _file(self, taught: Taught) -> Filed | None:
        """The triple that comes first in H; None for what Personalize refuses."""
        command = PersonalizeCommand(
            _USER, taught.query, taught.answer, rules=PersonalizeRules(k=1)
        )
        try:
            inquiry = await Inquiry.begin(self._answerer, command)
        except (InvalidRequest, SubjectNotFound):
            return None
        head, correction = inquiry.filed_at, inquiry.correction
        prompt = extraction_prompt(
            taught.query, correction.feedback, head.concept.text, correction.object.text, k=1
        )
        said = await inquiry.generated(GenerateRequest(prompt, TOKENS_PER_RELATION))
        names: Sequence[str] = parse_relations(said, self._answerer.vocabulary, k=1)
        if not names:
            names = await inquiry.scorer.ranked_relations(
                correction.feedback, correction.object, k=1
            )
        z = Triple(head.concept, names[0], correction.object)
        if head.owned:
            inquiry.scorer.owned.add(z)
        answered = await inquiry.scorer.reasoning({z: [correction.feedback]})
        return Filed(z, head.owned, answered[z, correction.feedback])

    def _user_facts(self, bank: Bank, keys: Mapping[str, Key]) -> UserFacts:
        """The bank as the service keeps it."""
        marks, scopes = {}, {}
        fingerprint = self._model.key_fingerprint
        for number, taught in enumerate(bank.facts, 1):
            filed, text = self._filed[taught], question_of(taught.query)
            if filed is not None:
                stamp = Stamp(number, 0)
                marks[filed.triple] = Mark(Origin.ADDED, stamp)
                key = packed(keys[text])
                scopes[filed.triple, stamp] = Scope(
                    text, key, fingerprint, filed.owned, filed.answered
                )
        facts = UserFacts(
            Snapshot(len(bank.facts), _USER), marks, scopes, self._answerer.vocabulary
        )
        facts.learn_stored(fingerprint)
        return facts

    async def _weighed(
        self, probe: Probe, bank: Bank, facts: UserFacts, keys: Mapping[str, Key]
    ) -> Weighed:
        key = keys[question_of(probe.query)]
        words = words_of(probe.query)
        near = _nearest(facts.about(key, -1.0, frozenset(), MOST_RECALLED), words)
        scorer = self._answerer.scorer(_USER, probe.query, USER_CONCEPT, CostMeter(), {})
        scorer.owned.update(r.fact.triple for r in near if r.fact.owned)
        another = {r.fact.triple for r in near if is_of_another(r.fact.triple.head, words)}
        candidates = [r.fact.triple for r in near if r.product >= LOWEST_FLOOR]
        asked = [z for z in candidates if z not in another]
        said = await scorer.reasoning({z: [z.tail.text] for z in asked}) if asked else {}
        right = None if probe.right is None else self._filed[bank.facts[probe.right]]

        def weighed(recalled: Recalled) -> Near:
            z = recalled.fact.triple
            answered = said.get((z, z.tail.text))
            return Near(
                fact=scorer.said(z),
                product=recalled.product,
                answered=answered / recalled.fact.answered if answered is not None else None,
                is_right=right is not None and z == right.triple,
                of_another=z in another,
            )

        return Weighed(probe, tuple(map(weighed, near)))


def _nearest(recalled: Sequence[Recalled], words: Collection[str]) -> Sequence[Recalled]:
    """`recalled` up to the last one that the model may be asked about."""
    askable = [n for n, r in enumerate(recalled) if not is_of_another(r.fact.triple.head, words)]
    if len(askable) < MOST_CONFIRMED:
        return recalled
    return recalled[: askable[MOST_CONFIRMED - 1] + 1]


def _texts(banks: Sequence[Bank]) -> list[str]:
    """The texts whose keys are compared."""
    queries = [fact.query for bank in banks for fact in bank.facts]
    queries += [probe.query for bank in banks for probe in bank.probes]
    return list(dict.fromkeys(map(question_of, queries)))


async def _keys(model: LanguageModel, texts: Sequence[str]) -> dict[str, Key]:
    keys = {}
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = texts[start : start + _TEXTS_AT_ONCE]
        keyed = [Branch(model.key_prompt(text), (), keyed=True) for text in part]
        scores = await model.score(keyed)
        for text, key in zip(part, scores.keys, strict=True):
            assert key is not None, "it was asked for"
            keys[text] = key
    return keys


async def _a_few_at_once(work: Iterable[Awaitable[T]]) -> list[T]:
    """The results of `work`, in order. The model gets some requests at once, to read together."""
    turns = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def in_turn(one: Awaitable[T]) -> T:
        async with turns:
            return await one

    return list(await asyncio.gather(*map(in_turn, work)))


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
