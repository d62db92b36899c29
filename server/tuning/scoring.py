"""Turns what the method wants to know into questions to the model, and the answers into numbers.

Every question is a branch: a prompt and the continuations whose probability counts. Branches that
are asked together share their common beginnings (server.lm.packing).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from server.graph.concept import Concept
from server.graph.neighborhood import Neighborhood
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, verbalize
from server.tuning.cost import CostMeter
from server.tuning.facts import retrieval_order
from server.tuning.memory import UserMemory
from server.tuning.objective import Probabilities, RetrievalWeights, comparable, probability
from server.tuning.ports import Branch, ContinuationLogprob, Key, LanguageModel, Normalization
from server.tuning.question import WORDINGS, question_of
from server.tuning.templates import (
    extraction_prompt,
    reasoning_prompt,
    retrieval_prompt,
)
from server.tuning.watching import call_watch

_ROUNDING = 1e-9
"""A smaller mass is floating-point residue, treated as 0."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Asks one model about one query, adding up the request's cost."""

    model: LanguageModel
    vocabulary: Vocabulary
    normalization: Normalization
    query: str
    subject: Concept
    meter: CostMeter
    memory: UserMemory = field(default_factory=lambda: UserMemory(1 << 20))
    fields: Mapping[str, str] = field(default_factory=dict)
    """The request's fields, by their text: what a caller can shorten."""
    owned: set[Triple] = field(default_factory=set)
    """The triples whose head is the user's own."""

    def said(self, triple: Triple) -> str:
        """The triple as the model reads it."""
        return verbalize(triple, self.vocabulary, owned=triple in self.owned)

    async def keys(
        self,
        texts: Sequence[str],
        relations: Collection[str],
        wanted: Mapping[Triple, Sequence[str]],
    ) -> tuple[list[Key], Probabilities]:
        """The keys of `texts`, p(r) of `relations` and P(a|q,z) of `wanted`, as one question.

        A text of several wordings has the mean of their keys.
        """
        names = list(dict.fromkeys(relations))
        branches = self._branches(names, wanted)
        wordings = dict.fromkeys(part for text in texts for part in text.split(WORDINGS))
        branches += map(self._keyed, wordings)
        answered, keys = await self._asked(branches)
        rows = iter(answered)
        of_relations = dict(zip(names, next(rows), strict=True)) if names else {}
        of_answers = {}
        for z, answers in wanted.items():
            for answer, p in zip(answers, next(rows), strict=True):
                of_answers[z, answer] = p
        probabilities = Probabilities(of_relations, of_answers)
        return [self._key_among(keys, text) for text in texts], probabilities

    async def relations(self, relations: Collection[str]) -> dict[str, float]:
        """p(r) = P(r | T_retrieve(q)) for each relation (Eq. 5)."""
        return dict((await self.both(relations, {})).relations)

    async def reasoning(
        self, wanted: Mapping[Triple, Sequence[str]]
    ) -> dict[tuple[Triple, str], float]:
        """P(a|q,z) for each triple and each of its answers (Eq. 6)."""
        return dict((await self.both((), wanted)).reasoning)

    async def both(
        self, relations: Collection[str], wanted: Mapping[Triple, Sequence[str]]
    ) -> Probabilities:
        """p(r) of `relations` and P(a|q,z) of `wanted`, asked as one question."""
        _, probabilities = await self.keys((), relations, wanted)
        return probabilities

    async def foresee(
        self,
        relations: Sequence[str],
        wanted: Mapping[Triple, Sequence[str]],
        ranking: Branch | None,
    ) -> None:
        """Ask in one question what is likely to be asked piece by piece: memory has it then.

        The query's key is part of it.
        """
        key = self._keyed(question_of(self.query))
        rest = [ranking] if ranking else []
        await self.ask([*self._branches(relations, wanted), key, *rest])

    def remembered(self, relations: Sequence[str]) -> dict[str, float] | None:
        """p(r) of `relations`; None unless all of them are in memory."""
        prompt = self._retrieval_prompt()
        known = {r: self.memory.of(prompt, f" {self.vocabulary.phrase(r)}") for r in relations}
        if None in known.values():
            return None
        return {relation: self._probability(logprob) for relation, logprob in known.items()}

    def _key_among(self, keys: Mapping[str, Key], text: str) -> Key:
        return mean_key([keys[self.model.key_prompt(part)] for part in text.split(WORDINGS)])

    def _keyed(self, text: str) -> Branch:
        return Branch(self.model.key_prompt(text), (), keyed=True)

    def _retrieval_prompt(self) -> str:
        return retrieval_prompt(question_of(self.query), self.subject.text)

    def _branches(
        self, relations: Sequence[str], wanted: Mapping[Triple, Sequence[str]]
    ) -> list[Branch]:
        """The questions for p(r) and P(a|q,z): one for all relations, and one for each triple."""
        branches = []
        if relations:
            phrases = tuple(f" {self.vocabulary.phrase(name)}" for name in relations)
            branches.append(Branch(self._retrieval_prompt(), phrases))
        for triple, answers in wanted.items():
            prompt = reasoning_prompt(self.query, [self.said(triple)])
            branches.append(Branch(prompt, tuple(f" {answer}" for answer in answers)))
        return branches

    async def ranked_relations(self, answer: str, object: Concept, k: int) -> list[str]:
        """The vocabulary's retrievable relations, the most probable first.

        Their probability is that under the extraction template.
        """
        [row] = await self.ask([self.ranking(answer, object, k)])
        relations = self.vocabulary.retrievable()
        order = sorted(range(len(relations)), key=lambda n: (-comparable(row[n]), n))
        return [relations[n].name for n in order]

    def ranking(self, answer: str, object: Concept, k: int) -> Branch:
        """The question that ranks the vocabulary's retrievable relations."""
        prompt = extraction_prompt(self.query, answer, self.subject.text, object.text, k)
        phrases = tuple(f" {r.phrase}" for r in self.vocabulary.retrievable())
        return Branch(prompt, phrases, field=longest_field({"query": self.query, "answer": answer}))

    async def plain(self, answers: Sequence[str]) -> list[float]:
        """P(a | q) after the query only, for answers without facts."""
        [row] = await self.ask([Branch(self.query, tuple(f" {a}" for a in answers))])
        return row

    async def ask(self, branches: Sequence[Branch]) -> list[list[float]]:
        """The probabilities of all continuations, by branch. The model is asked for new ones."""
        rows, _ = await self._asked(branches)
        return rows

    async def _asked(self, branches: Sequence[Branch]) -> tuple[list[list[float]], dict[str, Key]]:
        """The probabilities of all continuations, by branch, and the keys by prompt."""
        known = self._remembered(branches)
        keyed = {branch.prompt for branch in branches if branch.keyed}
        keys = {p: key for p in keyed if (key := self.memory.key_of(p)) is not None}
        asked = self._unknown(branches, known, keyed - keys.keys())
        missing = sum(len(branch.continuations) + branch.keyed for branch in asked)
        call_watch.get().looked_up("answers", len(known) + len(keyed) - missing, missing)
        if asked:
            scores = await self.model.score(asked)
            self.meter.add(scores.cost)
            self.memory.learn(asked, scores)
            for branch, row in zip(asked, scores.logprobs, strict=True):
                for continuation, logprob in zip(branch.continuations, row, strict=True):
                    known[branch.prompt, continuation] = logprob
            for branch, key in zip(asked, scores.keys, strict=True):
                if key is not None:
                    keys[branch.prompt] = key
        rows = []
        for branch in branches:
            logprobs = [known[branch.prompt, c] for c in branch.continuations]
            rows.append([self._probability(logprob) for logprob in logprobs])
        return rows, keys

    def _remembered(
        self, branches: Sequence[Branch]
    ) -> dict[tuple[str, str], ContinuationLogprob | None]:
        """What memory has of each (prompt, continuation); None where it has nothing."""
        return {
            (branch.prompt, continuation): self.memory.of(branch.prompt, continuation)
            for branch in branches
            for continuation in branch.continuations
        }

    def _unknown(
        self,
        branches: Sequence[Branch],
        known: Mapping[tuple[str, str], ContinuationLogprob | None],
        keyed: Collection[str],
    ) -> list[Branch]:
        """One branch for each prompt, with the continuations that are not in memory.

        `keyed` are the prompts whose key is not in memory.
        """
        unknown: dict[str, list[str]] = {b.prompt: [] for b in branches if b.prompt in keyed}
        for (prompt, continuation), logprob in known.items():
            if logprob is None:
                unknown.setdefault(prompt, []).append(continuation)
        field_of = {branch.prompt: branch.field for branch in branches}
        return [
            Branch(prompt, tuple(new), field_of[prompt], self._fields_of(new), prompt in keyed)
            for prompt, new in unknown.items()
        ]

    def _fields_of(self, continuations: Sequence[str]) -> tuple[str, ...]:
        return tuple(self.fields.get(c.removeprefix(" "), "query") for c in continuations)

    def _probability(self, logprob: ContinuationLogprob | None) -> float:
        assert logprob is not None
        return probability(logprob, self.normalization)


def mean_key(keys: Sequence[Key]) -> Key:
    """The key of a text with several wordings: the direction of the mean of theirs."""
    if len(keys) == 1:
        return keys[0]
    total: Key = np.add.reduce(keys)
    return total / max(float(np.linalg.norm(total)), _ROUNDING)


def longest_field(texts: Mapping[str, str]) -> str:
    """The field whose text takes the most of a prompt, given the texts by field."""
    return max(texts, key=lambda name: len(texts[name]))


@dataclass(frozen=True, slots=True)
class ScoringBudget:
    """How much of a neighborhood is scored.

    The base's triples in the order of P(z|q) until they hold `mass` of it, at most `triples` of
    them; personal triples always.
    """

    mass: float = 0.99
    triples: int = 64


def triples_to_score(
    view: Neighborhood, probabilities: Probabilities, budget: ScoringBudget
) -> list[Triple]:
    """The triples of the view that are worth a question.

    The user's own come first, then the base's, the most probably retrieved first. Within a
    relation all have the same P(z|q), and the heaviest come first.
    """
    personal = [viewed for part in view.slices for viewed in part.personal]
    chosen = [viewed.triple for viewed in personal]
    weights = RetrievalWeights(view, probabilities)
    if weights.total == 0:
        return chosen
    mass = sum(map(weights.of, personal)) / weights.total
    taken = 0
    for part in retrieval_order(view, probabilities.relations):
        for viewed in part.base:
            if mass >= budget.mass - _ROUNDING or taken >= budget.triples:
                return chosen
            chosen.append(viewed.triple)
            mass += weights.of(viewed) / weights.total
            taken += 1
    return chosen


def unscored_mass(view: Neighborhood, probabilities: Probabilities, feedback: str) -> float:
    """The retrieval mass of the triples whose P(a|q,z) is unknown: the most that Eq. 1 misses."""
    weights = RetrievalWeights(view, probabilities)
    if weights.total == 0:
        return 0.0
    scored = sum(weights.of(v) for v in view if (v.triple, feedback) in probabilities.reasoning)
    mass = 1 - scored / weights.total
    return mass if mass > _ROUNDING else 0.0


def grouped(pairs: Iterable[tuple[Triple, str]]) -> dict[Triple, list[str]]:
    """The distinct answers in `pairs`, by triple."""
    answers: dict[Triple, list[str]] = {}
    for triple, answer in pairs:
        if answer not in answers.setdefault(triple, []):
            answers[triple].append(answer)
    return answers
