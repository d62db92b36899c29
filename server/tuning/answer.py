"""The use case Answer: retrieve facts from the user's view and answer from them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from server.errors import Unavailable
from server.graph.concept import Concept
from server.graph.neighborhood import ViewedTriple
from server.graph.relation import Vocabulary
from server.tuning.cost import Cost, CostMeter
from server.tuning.facts import RetrievalRules
from server.tuning.memory import Memories, UserMemory
from server.tuning.objective import answer_probability, ln, retrieval_probability
from server.tuning.ports import GenerateRequest, GraphStore, LanguageModel, Normalization
from server.tuning.related import RelatedRelations
from server.tuning.retrieval import Retrieval, Retriever
from server.tuning.scoring import Scorer
from server.tuning.subject.choice import Match, SubjectChoice, find_subject
from server.tuning.templates import TEMPLATE_MARKS, reasoning_prompt


class RevisionNotReached(Unavailable):
    """The overlay has not yet reached the revision that the caller wants to see."""

    reason = "REVISION_NOT_REACHED"


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """A query, and which view of whose it is asked of."""

    user: str
    query: str
    subject: str | None = None
    at_revision: int | None = None
    min_revision: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerQuery(ViewQuery):
    """What Answer is asked."""

    candidates: tuple[str, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a query is about, and what was retrieved for it."""

    choice: SubjectChoice
    revision: int
    scorer: Scorer
    retrieval: Retrieval

    def probability(self, viewed: ViewedTriple) -> float:
        """P(z|q), Eq. 5 or its default form."""
        of = self.retrieval
        return retrieval_probability(viewed.triple, of.view, of.probabilities)


@dataclass(frozen=True, slots=True)
class RetrievedFact:
    """A fact that an answer rests on, and P(z|q) (Eq. 5)."""

    viewed: ViewedTriple
    retrieval_probability: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer rests on. Its text is generated from this."""

    subject: Match
    alternatives: tuple[Match, ...]
    facts: tuple[RetrievedFact, ...]
    candidates: tuple[tuple[str, float], ...]
    """Each candidate's text and ln P(a|q)."""
    revision: int
    generation: GenerateRequest
    """The prompt that the text continues, and how."""
    memory: UserMemory | None = field(default=None, compare=False, repr=False)
    """Where the text is kept for a correction of it; None for an answer at an older revision."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    evidence: Evidence
    text: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How Answer retrieves and generates."""

    retrieval: RetrievalRules = field(default_factory=RetrievalRules)
    normalization: Normalization = "mean"
    max_tokens: int = 64
    neighborhood_limit: int = 80
    """At most this many of the base's triples are read for each relation."""


class Answerer:
    """Answers queries from users' views."""

    def __init__(
        self, store: GraphStore, model: LanguageModel, vocabulary: Vocabulary, rules: AnswerRules
    ) -> None:
        self.store = store
        self.model = model
        self.vocabulary = vocabulary
        self.rules = rules
        self.memories = Memories()
        self.related = RelatedRelations.built_in()
        self.retriever = Retriever(store, model, vocabulary, rules.retrieval)

    def forget(self, user: str) -> None:
        """Drop what is kept in memory about a user."""
        self.memories.forget(user)
        self.retriever.recalls.forget(user)

    async def forget_erased(self) -> None:
        """Drop what is kept in memory about users whom any server erased."""
        self.memories.forget_all_but(await self.retriever.recalls.forget_erased())

    async def answer(self, query: AnswerQuery) -> Answer:
        """The evidence and the whole text."""
        meter = CostMeter()
        evidence = await self.evidence(query, meter)
        text = "".join([piece async for piece in self.text(evidence, meter)])
        return Answer(evidence, text, meter.total())

    async def evidence(self, query: AnswerQuery, meter: CostMeter) -> Evidence:
        """Find the facts, and weigh the candidates.

        Raises RevisionNotReached.
        """
        found = await self.found(query, meter, _fields(query))
        scorer, retrieval = found.scorer, found.retrieval
        with meter.stage("candidates"):
            candidates = await _weighed(query.candidates, scorer, retrieval)
        return Evidence(
            subject=found.choice.match,
            alternatives=found.choice.alternatives,
            facts=tuple(RetrievedFact(v, found.probability(v)) for v in retrieval.facts),
            candidates=candidates,
            revision=found.revision,
            generation=replace(
                self.generation(scorer, retrieval.facts, query.max_tokens),
                temperature=query.temperature,
                seed=query.seed,
            ),
            memory=scorer.memory if query.at_revision is None else None,
        )

    async def found(
        self,
        query: ViewQuery,
        meter: CostMeter,
        fields: Mapping[str, str],
        *,
        at_once: bool = False,
    ) -> Found:
        """What the query is about, and the facts; with `at_once`, in one question to the model.

        `fields` are those of the request, by their texts. Raises RevisionNotReached.
        """
        with meter.stage("retrieve"):
            await self._require_revision(query)
            choice = await self.subject_of(
                query.user, query.query, query.subject, query.at_revision
            )
            looked = await self.retriever.look(
                query.user, choice, self.rules.neighborhood_limit, query.at_revision
            )
            scorer = self.scorer(query.user, query.query, choice.match.concept, meter, fields)
            retrieval = await self.retriever.recall(scorer, looked, at_once=at_once)
        return Found(choice, looked.view.revision, scorer, retrieval)

    async def text(self, evidence: Evidence, meter: CostMeter) -> AsyncIterator[str]:
        """The answer in pieces, as they are generated. Without blanks at its ends."""
        with meter.stage("generate"):
            stripper, given = _Stripper(), []
            async for piece in self.model.generate(evidence.generation):
                meter.add(piece.cost)
                if ready := stripper.feed(piece.text):
                    given.append(ready)
                    yield ready
        if evidence.memory is not None:
            evidence.memory.keep_answer(evidence.generation, evidence.revision, "".join(given))

    async def subject_of(
        self, user: str, query: str, given: str | None, at_revision: int | None
    ) -> SubjectChoice:
        """The concept that `query` is about: the given one, else the one found."""
        if given is None:
            return await find_subject(self.store, user, query, at_revision)
        concept = Concept.of(given)
        known = (await self.store.look_up(user, [concept.key], at_revision)).get(concept.key)
        if known is None:
            match = Match(concept, personal=True)
        else:
            match = Match(known.concept, personal=not known.in_base)
        return SubjectChoice(match, (), match)

    def generation(
        self,
        scorer: Scorer,
        facts: Sequence[ViewedTriple],
        max_tokens: int | None = None,
        likely: Sequence[str] = (),
    ) -> GenerateRequest:
        """What the model continues: the reasoning template over the facts, or only the query if
        there are none.

        It stops where a model that does not know the template goes on with it. Its drafts are the
        facts' tails, most answers being one of them, and what else is `likely`.
        """
        tokens = max_tokens or self.rules.max_tokens
        tails = [viewed.triple.tail.text for viewed in facts]
        drafts = tuple(f" {answer}" for answer in dict.fromkeys([*tails, *likely]))
        if not facts:
            return GenerateRequest(scorer.query, tokens, drafts=drafts)
        prompt = reasoning_prompt(scorer.query, [scorer.said(v.triple) for v in facts])
        return GenerateRequest(prompt, tokens, stop=("\n", *TEMPLATE_MARKS), drafts=drafts)

    def scorer(
        self,
        user: str,
        query: str,
        subject: Concept,
        meter: CostMeter,
        fields: Mapping[str, str],
    ) -> Scorer:
        """What asks the model for one request. `fields`: the request's fields by their texts."""
        memory, normalization = self.memories.of(user), self.rules.normalization
        return Scorer(
            self.model,
            self.vocabulary,
            normalization,
            query,
            subject,
            meter,
            memory,
            fields,
        )

    async def generated(self, request: GenerateRequest, meter: CostMeter) -> str:
        """The whole text of a generation."""
        pieces = []
        async for piece in self.model.generate(request):
            meter.add(piece.cost)
            pieces.append(piece.text)
        return "".join(pieces).strip()

    async def _require_revision(self, query: ViewQuery) -> None:
        wanted = query.min_revision
        if wanted is None:
            return
        reached = (await self.store.snapshot(query.user)).revision
        if reached < wanted:
            raise RevisionNotReached(
                f"the overlay is at revision {reached}, not yet at {wanted}", retry_after_s=0.2
            )


def _fields(query: AnswerQuery) -> dict[str, str]:
    """The candidates' fields by their texts. A text that is sent twice has the first field."""
    numbered = reversed(list(enumerate(query.candidates)))
    return {text: f"candidates[{number}]" for number, text in numbered}


async def _weighed(
    candidates: Sequence[str], scorer: Scorer, found: Retrieval
) -> tuple[tuple[str, float], ...]:
    """Each candidate with its ln P(a|q)."""
    texts = tuple(dict.fromkeys(candidates))
    if not texts:
        return ()
    if not found.facts:
        plain = await scorer.plain(texts)
        return tuple((text, ln(p)) for text, p in zip(texts, plain, strict=True))
    reasoning = await scorer.reasoning(dict.fromkeys((v.triple for v in found.facts), texts))
    known = found.probabilities.with_reasoning(reasoning)
    return tuple((text, ln(answer_probability(text, found.facts, known))) for text in texts)


class _Stripper:
    """Strips the blanks off both ends of a text that arrives in pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._begun = False

    def feed(self, text: str) -> str:
        """The part that is known to be within the text."""
        text = self._held + (text if self._begun else text.lstrip())
        self._begun = self._begun or bool(text)
        ready = text.rstrip()
        self._held = text[len(ready) :]
        return ready
