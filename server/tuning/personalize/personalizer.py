"""The use case Personalize: from a query and the user's feedback to a few changed triples."""

from __future__ import annotations

from server.tuning.answer import Answerer
from server.tuning.personalize.account import changed, unchanged
from server.tuning.personalize.command import PersonalizeCommand
from server.tuning.personalize.inquiry import Inquiry
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.personalize.steps import decide, retrieve, weigh
from server.tuning.ports import Snapshot


class Personalizer:
    """Proposes the edits after which the model gives the user's answer."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    async def propose(self, command: PersonalizeCommand, snapshot: Snapshot) -> PersonalizeOutcome:
        """Retrieve and weigh, decide which triples to add and remove, and account for it.

        Changes nothing where the user's answer is given already. Raises InvalidRequest,
        SubjectNotFound and EpsilonUnreachable.
        """
        inquiry = await Inquiry.begin(self._answerer, command)
        retrieved = await retrieve(inquiry)
        before = retrieved.answer_before
        if before is not None and inquiry.is_feedback(before, retrieved.view):
            return unchanged(inquiry, snapshot, before)
        weighed = await weigh(inquiry, retrieved)
        if inquiry.is_feedback(weighed.answer_before, weighed.view):
            return unchanged(inquiry, snapshot, weighed.answer_before)
        decided = await decide(inquiry, weighed)
        return await changed(inquiry, snapshot, decided)
