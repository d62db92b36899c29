"""What one Personalize asks the model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from server.errors import KgtError, SubjectNotFound
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Triple
from server.tuning.answer import Answerer
from server.tuning.cost import Cost, CostMeter
from server.tuning.objective import MissingProbabilities, Probabilities
from server.tuning.personalize.command import Correction, PersonalizeCommand, checked
from server.tuning.ports import GenerateRequest
from server.tuning.problem import Removal, Stopping
from server.tuning.scoring import grouped
from server.tuning.subject.choice import Match, SubjectChoice
from server.tuning.texts import says
from server.tuning.watching import call_watch

T = TypeVar("T")


class Inquiry:
    """One correction, the concept that it is about, and the questions that it puts to the model.

    Counts what they cost. A prompt that was answered once is not generated again.
    """

    def __init__(
        self, answerer: Answerer, correction: Correction, choice: SubjectChoice, meter: CostMeter
    ) -> None:
        self.answerer = answerer
        self.correction = correction
        self.choice = choice
        self._meter = meter
        self._answers: dict[GenerateRequest, str] = {}
        command, subject = correction.command, choice.match.concept
        self.scorer = answerer.scorer(
            command.user, command.query, subject, meter, _fields(correction)
        )

    @classmethod
    async def begin(cls, answerer: Answerer, command: PersonalizeCommand) -> Inquiry:
        """Check the command and find e_q.

        Raises InvalidRequest, and SubjectNotFound for a query without any content.
        """
        correction = checked(command, answerer.vocabulary)
        meter = CostMeter()
        with meter.stage("retrieve"):
            choice = await answerer.subject_of(command.user, command.query, command.subject, None)
        if choice.filed_at is None:
            raise SubjectNotFound
        return cls(answerer, correction, choice, meter)

    @property
    def filed_at(self) -> Match:
        """Where the triples of H start."""
        match = self.choice.match if self.is_literal else self.choice.filed_at
        assert match is not None, "begin() refuses a query without any"
        return match

    @property
    def is_literal(self) -> bool:
        """Whether Eq. 5 is taken as printed."""
        rules = self.correction.command.rules
        return rules.stopping is Stopping.LITERAL or rules.removal is Removal.LITERAL

    def mark_owned(self, triples: Iterable[Triple]) -> None:
        """Have those of `triples` read as the user's own that start at what the query calls so."""
        if self.filed_at.owned:
            head = self.filed_at.concept
            self.scorer.owned.update(z for z in triples if z.head == head)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Time what happens inside as part of `name`."""
        return self._meter.stage(name)

    def cost(self) -> Cost:
        """What the inquiry cost so far."""
        return self._meter.total()

    # Answers

    async def generated(self, request: GenerateRequest) -> str:
        """The whole text of a generation."""
        return await self.answerer.generated(request, self._meter)

    async def answer_in(
        self, view: Neighborhood, known: Probabilities, before: str | None = None
    ) -> str:
        """What Answer would say in `view`. Likely are the feedback and the answer `before`."""
        likely = [self.correction.feedback, *([before] if before else [])]
        request = self.answerer.generation(self.scorer, self.facts(view, known), likely=likely)
        if request in self._answers:
            return self._answers[request]
        memory, revision = self.scorer.memory, view.revision
        answer = memory.answer_to(request, revision)
        is_known = answer is not None
        call_watch.get().looked_up("texts", int(is_known), int(not is_known))
        if answer is None:
            answer = await self.generated(request)
            memory.keep_answer(request, revision, answer)
        self._answers[request] = answer
        return answer

    async def foresee_answer(self, view: Neighborhood, known: Probabilities, before: str) -> None:
        """Ask what Answer would say in `view`, in case that the decision comes to it.

        An error is left to whoever needs the answer.
        """
        with contextlib.suppress(KgtError):
            await self.answer_in(view, known, before)

    def facts(self, view: Neighborhood, known: Probabilities) -> tuple[ViewedTriple, ...]:
        """The facts that Answer would read in `view`."""
        return self.answerer.retriever.facts(view, known)

    def is_feedback(self, answer: str, view: Neighborhood) -> bool:
        """Whether `answer` says the feedback, and not a tail of `view` that only begins like it."""
        return says(answer, self.correction.feedback, {v.triple.tail.text for v in view})

    # Probabilities

    async def scored(
        self,
        known: Probabilities,
        relations: Iterable[str],
        wanted: Mapping[Triple, Sequence[str]],
    ) -> Probabilities:
        """`known`, with p(r) of `relations` and P(a|q,z) of `wanted`, asked as one question."""
        unknown = sorted(set(relations) - known.relations.keys())
        found = await self.scorer.both(unknown, wanted)
        return known.with_relations(found.relations).with_reasoning(found.reasoning)

    async def more(
        self, known: Probabilities, pairs: Iterable[tuple[Triple, str]]
    ) -> Probabilities:
        """`known`, with P(a|q,z) of all `pairs`. The model is asked for those that are missing."""
        missing = [pair for pair in dict.fromkeys(pairs) if pair not in known.reasoning]
        if not missing:
            return known
        return known.with_reasoning(await self.scorer.reasoning(grouped(missing)))

    async def computed(
        self, known: Probabilities, compute: Callable[[Probabilities], T]
    ) -> tuple[T, Probabilities]:
        """`compute(known)`, and all that is known then.

        Which probabilities a computation needs shows only while it runs. Most of them were asked
        for beforehand. For those that turn out to be missing, the model is asked again.
        """
        while True:
            try:
                return compute(known), known
            except MissingProbabilities as missing:
                known = await self.more(known, missing.pairs)


def _fields(correction: Correction) -> dict[str, str]:
    """The request's fields by their texts: what a caller can shorten."""
    fields = {correction.feedback: "answer"}
    if correction.command.answer_before is not None:
        fields.setdefault(correction.command.answer_before.strip(), "answer_before")
    return fields
