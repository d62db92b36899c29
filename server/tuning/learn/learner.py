"""The use case Learn: from what a user says to triples that come and go, in one edit."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from server.errors import InvalidRequest
from server.graph.characters import printable
from server.graph.checks import MAX_CHANGES
from server.graph.concept import words_in
from server.graph.edit import Change, Edit, EditKind, Scope
from server.graph.marks import changes_to
from server.graph.triple import Origin, Triple, verbalize
from server.tuning.answer import Answerer
from server.tuning.cost import CostMeter
from server.tuning.edits import next_edit
from server.tuning.learn.asking import Asking, Replied
from server.tuning.learn.command import LearnCommand
from server.tuning.learn.filing import Doubt, Filed, Unfiled, filed, unfiled
from server.tuning.learn.lines import Lines, read_lines
from server.tuning.learn.outcome import Fate, Found, LearnOutcome
from server.tuning.learn.passages import Passage, passages
from server.tuning.learn.planning import Planned, instead, planned
from server.tuning.learn.retracting import beginning, taken_back
from server.tuning.learn.single import SingleValued
from server.tuning.ports import GenerateRequest, Snapshot
from server.tuning.recall import Fact
from server.tuning.subject.choice import USER_CONCEPT
from server.tuning.subject.known import best_known, looked_up
from server.tuning.subject.spans import Span
from server.tuning.templates import TEMPLATE_MARKS, learning_prompt

_LEAST_TOKENS, _TOKENS_OF_WORD = 32, 3
"""What the lines of one passage may take: so many tokens, and as many for each of its words. A
model that does not stop repeats itself."""
_TOGETHER = 8
"""Passages that are read at the same time."""
_STOPS = tuple(mark for mark in TEMPLATE_MARKS if mark.startswith("<"))


class Learner:
    """Proposes the edit that makes what a user says part of what the service knows of them."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._single = SingleValued.built_in(answerer.vocabulary)

    async def propose(self, command: LearnCommand, snapshot: Snapshot) -> LearnOutcome:
        """Read the message, file its facts, and ask for each of them.

        What the service would not give back is told, and not committed. Raises InvalidRequest for a
        text with more facts than one edit may change.
        """
        meter = CostMeter()
        with meter.stage("retrieve"):
            recalls, model = self._answerer.retriever.recalls, self._answerer.model
            personal = await recalls.of(command.user, model.key_fingerprint, None)
        with meter.stage("read"):
            found, doubtful = await self._read(command, personal.facts, meter)
            facts = [fact for fact in found if await self._is_about_somebody(command.user, fact)]
            general = [fact for fact in found if fact not in facts]
            doubtful += (unfiled(fact, Doubt.IMPERSONAL) for fact in general)
        with meter.stage("retrieve"):
            standing = [fact.triple for fact in personal.facts]
            plans = planned(facts, standing, self._single, self._answerer.vocabulary)
            asking = Asking(self._answerer, command.user, meter, self._single)
            if sum(plan.adds + len(plan.removed) for plan in plans) > MAX_CHANGES:
                raise InvalidRequest("text", "holds too many facts for one edit; send it in parts")
            adding = [plan for plan in plans if plan.adds]
            asked = await asking.begin([plan.fact for plan in adding])
        with meter.stage("check"):
            known = await asking.scopes(asked)
            scopes = {p.stored: s for p, s in zip(adding, known, strict=True)}
            edit = await self._edit(command, snapshot, plans, scopes)
            replies = dict(zip(scopes, await asking.replies(asked, edit), strict=True))
            # What takes the place of something that is still answered is asked for once more.
            changed = [self._instead(plan, replies, standing) for plan in plans]
            if changed != plans:
                plans = changed
                edit = await self._edit(command, snapshot, plans, scopes)
                replies = dict(zip(scopes, await asking.replies(asked, edit), strict=True))
            given = [p for p in plans if not p.adds or replies[p.stored].is_given_back]
            if len(given) < len(plans):
                edit = await self._edit(command, snapshot, given, scopes)
        return LearnOutcome(
            edit=_with_probabilities(edit, replies),
            found=tuple(self._found(plan, replies.get(plan.stored)) for plan in plans),
            not_understood=tuple(doubtful),
            cost=meter.total(),
            preview=command.preview,
        )

    async def _read(
        self, command: LearnCommand, standing: Collection[Fact], meter: CostMeter
    ) -> tuple[list[Filed], list[Unfiled]]:
        """The facts of the message, and what was not understood."""
        parts = passages(command.text, command.context)
        free = asyncio.Semaphore(_TOGETHER)

        async def lines_of(passage: Passage) -> Lines:
            async with free:
                return await self._lines(passage, standing, meter)

        facts: list[Filed] = []
        doubtful: list[Unfiled] = []
        for part, lines in zip(parts, await asyncio.gather(*map(lines_of, parts)), strict=True):
            of_part, in_doubt = filed(part, lines, self._answerer.vocabulary, self._single)
            gone = taken_back(part, standing)
            cleared = {one.source for one in gone}
            said = {fact.triple for fact in of_part if fact.learned}
            facts += (fact for fact in (*of_part, *gone) if fact.learned or fact.triple not in said)
            doubtful += (one for one in in_doubt if one.source not in cleared)
        return facts, doubtful

    async def _is_about_somebody(self, user: str, fact: Filed) -> bool:
        """Whether a fact is not about a thing of the base: a capital at the start makes no name.

        Of such things only what the user has told before is theirs.
        """
        head = fact.triple.head
        is_first = words_in(fact.source)[:1] == words_in(head.text)
        if not fact.learned or fact.owned or head == USER_CONCEPT or not is_first:
            return True
        span = Span(0, 0, head.text)
        entries = await looked_up(self._answerer.store, user, [span], None)
        known = best_known(span, entries)
        return known is None or not known.in_base or known.personal_triples > 0

    async def _lines(self, passage: Passage, standing: Collection[Fact], meter: CostMeter) -> Lines:
        """What the model writes for a passage, from where its words leave no doubt."""
        begun = beginning(passage, standing, self._answerer.vocabulary)
        prompt = learning_prompt(passage.read_as, passage.context) + begun
        most = _LEAST_TOKENS + _TOKENS_OF_WORD * len(passage.text.split())
        request = GenerateRequest(prompt, most, stop=_STOPS, field="text", learning=True)
        pieces, tokens = [begun], 0
        async for piece in self._answerer.model.generate(request):
            meter.add(piece.cost)
            tokens += piece.cost.tokens_generated
            pieces.append(piece.text)
        return read_lines("".join(pieces), whole=tokens < most)

    def _instead(
        self, plan: Planned, replies: Mapping[Triple, Replied], standing: Sequence[Triple]
    ) -> Planned:
        """`plan`, in the place of what is answered although the plan's fact is in the view."""
        reply = replies.get(plan.stored) if plan.adds else None
        if reply is None or reply.is_given_back:
            return plan
        vocabulary = self._answerer.vocabulary
        return instead(plan, reply.answer, standing, self._single, vocabulary) or plan

    async def _edit(
        self,
        command: LearnCommand,
        snapshot: Snapshot,
        plans: Sequence[Planned],
        scopes: Mapping[Triple, Scope],
    ) -> Edit:
        """The edit that `plans` come to. What is new stays even if something else removes it."""
        wanted: dict[Triple, Origin] = {}
        for plan in plans:
            wanted.update(dict.fromkeys(plan.removed, Origin.REMOVED))
        wanted.update((plan.stored, Origin.ADDED) for plan in plans if plan.adds)
        found = await self._answerer.store.find(command.user, list(wanted))
        revision = snapshot.revision + 1
        changes = changes_to(wanted.items(), found, revision, renew=True, scopes=scopes)
        message = command.text.strip() if changes else ""
        return next_edit(snapshot, EditKind.LEARN, changes, message=message)

    def _found(self, plan: Planned, reply: Replied | None) -> Found:
        fact = plan.fact
        words = verbalize(fact.triple, self._answerer.vocabulary, owned=fact.owned)
        found = Found(fact.triple, words, _fate(plan, reply), fact.source, plan.removed)
        if reply is None:
            return found
        return replace(
            found,
            removed=plan.removed if reply.is_given_back else (),
            query=reply.query,
            answer=printable(reply.answer),
            probability_before=reply.probability_before,
            probability_after=reply.probability_after,
        )


def _fate(plan: Planned, reply: Replied | None) -> Fate:
    if reply is not None:
        return Fate.LEARNED if reply.is_given_back else Fate.NOT_GIVEN_BACK
    if plan.fact.learned:
        return Fate.KNOWN
    return Fate.TAKEN_BACK if plan.removed else Fate.NOT_THERE


def _with_probabilities(edit: Edit, replies: Mapping[Triple, Replied]) -> Edit:
    """`edit` with the probabilities of what it adds."""

    def with_its(change: Change) -> Change:
        reply = replies.get(change.triple) if change.enters else None
        return change if reply is None else replace(change, probabilities=reply.probabilities)

    return replace(edit, changes=tuple(map(with_its, edit.changes)))
