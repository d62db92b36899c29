"""The use case Personalize: from a query and the user's feedback to the few triples to add and
remove.

Retrieve and answer as Answer would (the answer before), find the relations between subject and
object (H), ask the model once for all probabilities, decide (algorithm.py), and check by answering
again.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from server.errors import EpsilonUnreachable, InvalidRequest
from server.graph.codec import checked_concept, checked_relation, printable
from server.graph.concept import Concept
from server.graph.edit import Account, Change, Edit, EditKind, StopReason, TripleProbabilities
from server.graph.marks import changes_to
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Origin, Stamp, Triple, canonical
from server.tuning.algorithm import (
    Facts,
    Problem,
    Removal,
    Solution,
    Stopping,
    facts_of,
    margin,
    solve,
)
from server.tuning.answer import Answerer
from server.tuning.cost import Cost, CostMeter
from server.tuning.facts import facts_for_answer, possible_companions, retrievable_view
from server.tuning.objective import (
    MissingProbabilities,
    Probabilities,
    answer_probability,
    comparable,
    loss,
    minimal_loss,
    retrieval_probability,
)
from server.tuning.ports import GenerateRequest, GraphStore, Snapshot
from server.tuning.relations import (
    TOKENS_PER_RELATION,
    filled_up,
    parse_relations,
    personalized_triples,
)
from server.tuning.scoring import (
    Scorer,
    ScoringBudget,
    grouped,
    longest_field,
    triples_to_score,
    unscored_mass,
)
from server.tuning.subject.choice import Match, SubjectChoice
from server.tuning.templates import extraction_prompt
from server.tuning.texts import object_text, same_answer, says

_LEAVES_PER_TRIPLE = 4
"""How many continuations a foreseen triple may have on average. Those of one token cost nothing to
read."""

MAX_RESUMES = 3
"""How often the loop goes on because the model still answers otherwise."""


class RelationSource(Enum):
    """Where H's relations come from when the caller names none."""

    GENERATED = "generated"
    RANKED = "ranked"


@dataclass(frozen=True, slots=True)
class PersonalizeRules:
    """The method's settings, each of which a request may override but the last."""

    k: int = 5
    epsilon: float | None = None
    stopping: Stopping = Stopping.ANSWER
    removal: Removal = Removal.CONFLICTING
    budget: ScoringBudget = field(default_factory=ScoringBudget)
    relation_source: RelationSource = RelationSource.GENERATED
    max_removed: int = 10


@dataclass(frozen=True, slots=True)
class PersonalizeCommand:
    """What Personalize is told."""

    user: str
    query: str
    answer: str
    subject: str | None = None
    object: str | None = None
    relations: tuple[str, ...] = ()
    answer_before: str | None = None
    preview: bool = False
    verify: bool = True
    rules: PersonalizeRules = field(default_factory=PersonalizeRules)


@dataclass(frozen=True, slots=True)
class PersonalizeOutcome:
    """What Personalize found. `edit` has no id where nothing is committed.

    `considered` is H. The unscored masses bound what Eq. 1 over the whole neighborhood leaves out;
    the log-probabilities are of the feedback by Eq. 1 over the facts of an answer, not a number
    where nothing was computed.
    """

    edit: Edit
    account: Account
    subject: Match
    alternatives: tuple[Match, ...]
    cost: Cost
    preview: bool
    explanation: str = ""
    considered: tuple[tuple[Triple, TripleProbabilities], ...] = ()
    unscored_mass_before: float = 0.0
    unscored_mass_after: float = 0.0
    approximate: bool = False
    answer_logprob_before: float = math.nan
    answer_logprob_after: float = math.nan

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What is to be committed: nothing for a preview and where nothing changes."""
        return () if self.preview or not self.edit.id else (self.edit,)


class Personalizer:
    """Runs Personalize requests."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    async def propose(self, command: PersonalizeCommand, snapshot: Snapshot) -> PersonalizeOutcome:
        """The few triples to add and remove, and the edit that does so."""
        return await _Personalization(self._answerer, command, snapshot).outcome()


class _Personalization:
    """One run of the method over one snapshot of a user's overlay."""

    def __init__(self, answerer: Answerer, command: PersonalizeCommand, snapshot: Snapshot) -> None:
        self._answerer = answerer
        self._store: GraphStore = answerer.store
        self._vocabulary = answerer.vocabulary
        self._command = command
        self._rules = command.rules
        self._snapshot = snapshot
        self._meter = CostMeter()
        self._feedback = command.answer.strip()
        self._object = _object_concept(command)
        self._named = tuple(
            dict.fromkeys(
                checked_relation(r, f"relations[{n}]", answerer.vocabulary)
                for n, r in enumerate(command.relations)
            )
        )
        """The relations that the caller names."""
        self._answers: dict[str, str] = {}
        self._view: Neighborhood
        self._scorer: Scorer
        self._choice: SubjectChoice
        self._known = Probabilities()

    async def outcome(self) -> PersonalizeOutcome:
        with self._meter.stage("retrieve"):
            await self._retrieve()
        with self._meter.stage("answer_before"):
            before = await self._answer_before()
        if before is not None and self._is_feedback(before):
            return await self._unchanged(before)
        with self._meter.stage("relations"):
            personalized = await self._personalized()
        with self._meter.stage("score"):
            await self._score(personalized, before)
            if before is None:
                before = self._most_probable_tail(self._view) or ""
                if self._is_feedback(before):
                    return await self._unchanged(before)
        problem = self._problem(personalized, before or None)
        solution, answer_after, converged = await self._decided(problem)
        return await self._changed(problem, solution, before, answer_after, converged)

    # The view, and the answer before

    async def _retrieve(self) -> None:
        c = self._command
        self._choice = await self._answerer.subject_of(c.user, c.query, c.subject, None)
        subject = self._choice.match.concept
        limit = max(
            self._answerer.rules.neighborhood_limit,
            self._rules.budget.triples + self._rules.max_removed,
        )
        whole = await self._store.neighborhood(c.user, subject, limit)
        self._view = retrievable_view(whole, self._vocabulary, self._named)
        fields = {self._feedback: "answer"}
        if c.answer_before is not None:
            fields.setdefault(c.answer_before.strip(), "answer_before")
        self._scorer = self._answerer.scorer(c.user, c.query, subject, self._meter, fields)
        await self._foresee()
        self._known = Probabilities(
            await self._scorer.relations([s.relation for s in self._view.slices])
        )

    async def _foresee(self) -> None:
        """Ask at once for all that this request can need, where no text has to be generated first
        and it fits the budget.

        One pass of the model instead of three. The steps that follow ask as ever, and find most of
        it in memory.
        """
        c = self._command
        before = c.answer_before.strip() if c.answer_before is not None else ""
        ranked = not self._named and self._rules.relation_source is RelationSource.RANKED
        if not before or self._is_feedback(before) or not (self._named or ranked):
            return
        names = self._named or tuple(r.name for r in self._vocabulary.retrievable())
        candidates = personalized_triples(self._view.head, names, self._object)
        triples = list(dict.fromkeys([*candidates, *(v.triple for v in self._view)]))
        budget = self._rules.budget.triples
        if max(len(triples), self._view.count) > budget:
            return
        seen = [s.relation for s in self._view.slices]
        companions = possible_companions(
            self._view, self._scorer.remembered(seen), self._answerer.rules.retrieval
        )
        facts = {*candidates, *(v.triple for v in companions)}
        tails = dict.fromkeys(v.triple.tail.text for v in companions)
        rivals = [tail for tail in tails if not same_answer(tail, self._feedback)]
        if len(facts) * len(rivals) > _LEAVES_PER_TRIPLE * budget:
            rivals = []  # to be asked for when it is known which of them count
        wanted = {
            z: list(dict.fromkeys([self._feedback, before, *(rivals if z in facts else [])]))
            for z in triples
        }
        ranking = (
            self._scorer.ranking(self._feedback, self._object, self._rules.k) if ranked else None
        )
        await self._scorer.foresee(list(dict.fromkeys([*seen, *names])), wanted, ranking)

    async def _answer_before(self) -> str | None:
        """What the user is answered now: as the caller says, else generated; None where neither is
        wanted."""
        if self._command.answer_before is not None:
            return self._command.answer_before.strip()
        return await self._answer_in(self._view) if self._command.verify else None

    async def _answer_in(self, view: Neighborhood) -> str:
        """What Answer would say in `view`; a prompt that was answered before is not generated
        again."""
        prompt = self._answerer.prompt(self._command.query, self._facts(view))
        if prompt not in self._answers:
            request = GenerateRequest(prompt, self._answerer.rules.max_tokens)
            self._answers[prompt] = await self._answerer.generated(request, self._meter)
        return self._answers[prompt]

    def _is_feedback(self, answer: str) -> bool:
        """Whether `answer` says the feedback, and is not another fact's tail that only begins like
        it."""
        return says(answer, self._feedback, {v.triple.tail.text for v in self._view})

    def _facts(self, view: Neighborhood) -> tuple[ViewedTriple, ...]:
        return facts_for_answer(view, self._known.relations, self._answerer.rules.retrieval)

    def _most_probable_tail(self, view: Neighborhood) -> str | None:
        """The tail among the facts that Eq. 1 ranks first: the answer where none is generated."""
        triples = [v.triple for v in self._facts(view)]
        tails = list(dict.fromkeys(z.tail.text for z in triples))
        return max(
            tails,
            key=lambda a: comparable(answer_probability(a, triples, self._known)),
            default=None,
        )

    # H, and the probabilities

    async def _personalized(self) -> tuple[Triple, ...]:
        """H: the caller's relations, else generated ones filled up by ranking, or ranked ones
        alone."""
        c, k, subject = self._command, self._rules.k, self._view.head
        if self._named:
            return personalized_triples(subject, self._named, self._object)
        names: tuple[str, ...] = ()
        if self._rules.relation_source is RelationSource.GENERATED:
            prompt = extraction_prompt(c.query, self._feedback, subject.text, self._object.text, k)
            longest = longest_field({"query": c.query, "answer": self._feedback})
            request = GenerateRequest(prompt, k * TOKENS_PER_RELATION, field=longest)
            text = await self._answerer.generated(request, self._meter)
            names = parse_relations(text, self._vocabulary, k)
        if len(names) < k:
            names = filled_up(
                names, await self._scorer.ranked_relations(self._feedback, self._object, k), k
            )
        return personalized_triples(subject, names, self._object)

    async def _score(self, personalized: Sequence[Triple], before: str | None) -> None:
        """Ask for all that the decision is expected to need: one question to the model.

        Of every triple P(feedback|q,z) and P(answer before|q,z), and what the facts that are
        expected afterwards say of each other's tails. Without an answer before, the tails among the
        facts may all turn out to be it.
        """
        facts = [v.triple for v in self._facts(self._view)]
        expected = self._expected_facts(personalized)
        rivals = [z.tail.text for z in (expected if before else [*expected, *facts])]
        rivals = [tail for tail in rivals if not same_answer(tail, self._feedback)]
        wanted: dict[Triple, list[str]] = {}
        for z in [
            *personalized,
            *triples_to_score(self._view, self._known, self._rules.budget),
            *facts,
            *expected,
        ]:
            answers = [self._feedback, *([before] if before else [])]
            wanted[z] = list(
                dict.fromkeys(answers + (rivals if z in expected or not before else []))
            )
        relations = {z.relation for z in personalized} - self._known.relations.keys()
        found = await self._scorer.both(sorted(relations), wanted)
        self._known = self._known.with_relations(found.relations).with_reasoning(found.reasoning)

    def _expected_facts(self, personalized: Sequence[Triple]) -> list[Triple]:
        """The facts once the first of H is added, which the model or the caller thinks the
        likeliest."""
        first = personalized[0]
        view = self._view.with_added(first, Stamp(self._view.revision + 1, 0))
        relations = {**self._known.relations, first.relation: math.inf}
        return [v.triple for v in facts_for_answer(view, relations, self._answerer.rules.retrieval)]

    async def _ask(self, pairs: Sequence[tuple[Triple, str]]) -> None:
        """Ask for more, where the decision came upon something not foreseen."""
        missing = [pair for pair in dict.fromkeys(pairs) if pair not in self._known.reasoning]
        if missing:
            self._known = self._known.with_reasoning(await self._scorer.reasoning(grouped(missing)))

    def _problem(self, personalized: tuple[Triple, ...], before: str | None) -> Problem:
        least = minimal_loss(personalized, self._feedback, self._known)
        epsilon = least + math.log(2) if self._rules.epsilon is None else self._rules.epsilon
        if self._rules.stopping is Stopping.LITERAL and epsilon < least:
            raise EpsilonUnreachable(epsilon, least)
        return Problem(
            view=self._view,
            personalized=personalized,
            feedback=self._feedback,
            answer_before=before,
            probabilities=self._known,
            stopping=self._rules.stopping,
            removal=self._rules.removal,
            epsilon=epsilon,
            retrieval=self._answerer.rules.retrieval,
            max_removed=self._rules.max_removed,
        )

    # The decision

    async def _decided(self, problem: Problem) -> tuple[Solution, str, bool]:
        """The solution, the answer after it, and whether that is the feedback."""
        tried: list[Solution] = []
        while True:
            with self._meter.stage("decide"):
                rejected = [facts_of(problem, solution.view) for solution in tried]
                solution = await self._solved(problem, rejected)
            with self._meter.stage("answer_after"):
                answer = await self._answer_after(solution.view)
            if solution.holds and (not self._command.verify or self._is_feedback(answer)):
                return solution, answer, True
            tried.append(solution)
            if not solution.holds or len(tried) > MAX_RESUMES:
                best = await self._best(problem, tried)
                return best, await self._answer_after(best.view), False

    async def _solved(self, problem: Problem, rejected: Sequence[Facts]) -> Solution:
        while True:
            try:
                return solve(replace(problem, probabilities=self._known), rejected)
            except MissingProbabilities as missing:
                await self._ask(missing.pairs)

    async def _best(self, problem: Problem, tried: Sequence[Solution]) -> Solution:
        """Of what was tried, where the feedback leads by most; of equals the one that changes
        least."""
        while True:
            try:
                known = replace(problem, probabilities=self._known)
                return max(tried, key=lambda s: (margin(known, s), -len(s.added) - len(s.removed)))
            except MissingProbabilities as missing:
                await self._ask(missing.pairs)

    async def _answer_after(self, view: Neighborhood) -> str:
        if self._command.verify:
            return await self._answer_in(view)
        while True:
            try:
                return self._most_probable_tail(view) or ""
            except MissingProbabilities as missing:
                await self._ask(missing.pairs)

    # What is told

    async def _unchanged(self, before: str) -> PersonalizeOutcome:
        """The answer is the feedback already: nothing to commit."""
        account = self._account(
            (), math.nan, math.nan, StopReason.ALREADY_CORRECT, True, before, before
        )
        edit = Edit("", self._snapshot.revision, EditKind.PERSONALIZE, _now_ms(), (), account)
        return self._outcome(edit, account)

    async def _changed(
        self, problem: Problem, solution: Solution, before: str, after: str, converged: bool
    ) -> PersonalizeOutcome:
        facts_before = [v.triple for v in self._facts(self._view)]
        facts_after = self._facts(solution.view)
        changed = [*solution.added, *solution.removed]
        told = [*facts_before, *(v.triple for v in facts_after), *changed]
        with self._meter.stage("score"):
            await self._ask(
                [
                    (z, a)
                    for z in told
                    for a in (self._feedback, *([before] if before and z in changed else []))
                ]
            )
        literal = self._rules.stopping is Stopping.LITERAL
        own = problem.personalized if literal else solution.added or problem.personalized
        account = self._account(
            tuple(z.relation for z in problem.personalized),
            loss(own, self._feedback, self._view, self._known),
            loss(own, self._feedback, solution.view, self._known),
            solution.stop_reason if converged or not solution.holds else StopReason.EXHAUSTED,
            converged,
            before,
            after,
        )
        edit = Edit(
            id=uuid.uuid4().hex,
            revision=self._snapshot.revision + 1,
            kind=EditKind.PERSONALIZE,
            time_ms=_now_ms(),
            changes=await self._changes(solution, before),
            account=account,
            relied_on=tuple(
                canonical(v.triple, self._vocabulary)
                for v in facts_after
                if v.is_personal and v.triple not in changed
            ),
        )
        mass_before, mass_after = (
            unscored_mass(v, self._known, self._feedback) for v in (self._view, solution.view)
        )
        return replace(
            self._outcome(edit, account),
            explanation=""
            if converged
            else _explanation(after, self._is_feedback(after), solution, self._command.verify),
            considered=tuple(
                (z, self._probabilities(z, solution.view, before)) for z in problem.personalized
            ),
            unscored_mass_before=mass_before,
            unscored_mass_after=mass_after,
            approximate=literal and mass_before > 0,
            answer_logprob_before=_ln(
                answer_probability(self._feedback, facts_before, self._known)
            ),
            answer_logprob_after=_ln(
                answer_probability(self._feedback, [v.triple for v in facts_after], self._known)
            ),
        )

    async def _changes(self, solution: Solution, before: str) -> tuple[Change, ...]:
        wanted = {canonical(z, self._vocabulary): (z, Origin.ADDED) for z in solution.added}
        wanted |= {canonical(z, self._vocabulary): (z, Origin.REMOVED) for z in solution.removed}
        found = await self._store.find(self._command.user, list(wanted))
        changes = changes_to(
            [(stored, origin) for stored, (_, origin) in wanted.items()],
            found,
            self._snapshot.revision + 1,
            renew=True,
        )
        return tuple(
            replace(
                c, probabilities=self._probabilities(wanted[c.triple][0], solution.view, before)
            )
            for c in changes
        )

    def _probabilities(self, z: Triple, after: Neighborhood, before: str) -> TripleProbabilities:
        return TripleProbabilities(
            retrieval_before=retrieval_probability(z, self._view, self._known),
            retrieval_after=retrieval_probability(z, after, self._known),
            reasoning=self._known.reasoning_of(z, self._feedback),
            reasoning_answer_before=self._known.reasoning.get((z, before)),
        )

    def _account(
        self,
        relations: tuple[str, ...],
        loss_before: float,
        loss_after: float,
        reason: StopReason,
        converged: bool,
        before: str,
        after: str,
    ) -> Account:
        return Account(
            query=self._command.query,
            answer=self._feedback,
            subject=self._view.head.text,
            object=self._object.text,
            relations=relations,
            loss_before=loss_before,
            loss_after=loss_after,
            stop_reason=reason,
            converged=converged,
            answer_before=printable(before),
            answer_after=printable(after),
        )

    def _outcome(self, edit: Edit, account: Account) -> PersonalizeOutcome:
        return PersonalizeOutcome(
            edit=edit,
            account=account,
            subject=self._choice.match,
            alternatives=self._choice.alternatives,
            cost=self._meter.total(),
            preview=self._command.preview,
        )


def _object_concept(command: PersonalizeCommand) -> Concept:
    """The object: as the caller says, else what the answer names. Raises InvalidRequest."""
    if command.object is not None:
        return checked_concept(command.object, "object")
    try:
        return checked_concept(object_text(command.answer), "answer")
    except InvalidRequest as error:
        raise InvalidRequest(
            "answer", f"as an object it {error.description}; send the object too"
        ) from error


def _explanation(answer: str, says_feedback: bool, solution: Solution, verified: bool) -> str:
    """Why a request did not converge: the condition that failed."""
    if solution.holds:
        return f"by probability the feedback leads, but the model still answers {answer!r}"
    if verified and says_feedback:
        return "nothing was left to change; the model answers so, but by probability another answer still leads"
    if verified:
        return f"nothing was left to change, and the model still answers {answer!r}"
    return "nothing was left to change, and by probability another answer still leads"


def _ln(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
