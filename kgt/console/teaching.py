"""Teaching: a sentence, or the right answer to a question. Either can be tried first."""

from __future__ import annotations

import math

from starlette.responses import Response

from kgt.console.visit import Visit

TRY = "try"
"""The value of `do` of a form's button that commits nothing."""


async def tell(visit: Visit) -> Response:
    """Learn what is in a sentence, and show what was understood and what was not."""
    text = visit.said("text")
    learned = await visit.client.learn(
        user=visit.user,
        text=text,
        context=visit.said("context") or None,
        preview=visit.said("do") == TRY,
        request_id=visit.request_id(),
    )
    return visit.page("told.html", text=text, context=visit.said("context"), learned=learned)


async def correct(visit: Visit) -> Response:
    """Give a question its right answer, and show what had to change for that."""
    query, answer = visit.said("query"), visit.said("answer")
    before = visit.said("answer_before")
    done = await visit.client.personalize(
        user=visit.user,
        query=query,
        answer=answer,
        answer_before=before or None,
        preview=visit.said("do") == TRY,
        request_id=visit.request_id(),
    )
    return visit.page(
        "corrected.html",
        query=query,
        answer=answer,
        before=before,
        done=done,
        # How probable the new answer is, before and after.
        probable=(math.exp(done.answer_logprob_before), math.exp(done.answer_logprob_after))
        if done.HasField("answer_logprob_after")
        else None,
    )
