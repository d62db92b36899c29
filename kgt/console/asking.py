"""Asking: the answer, what it rests on, and the answer without what the user told."""

from __future__ import annotations

from starlette.responses import Response

from kgt.console.visit import Visit


async def show(visit: Visit) -> Response:
    """The page with a question to fill in."""
    return visit.page("ask.html", query="", answer=None, plain=None)


async def ask(visit: Visit) -> Response:
    """The page with the answer, and with a form to correct it."""
    query = visit.said("query")
    answer = plain = None
    if query:
        answer = await visit.client.answer(user=visit.user, query=query)
    if query and visit.said("compare"):
        plain = await visit.client.answer(user=visit.user, query=query, at_revision=0)
    return visit.page("ask.html", query=query, answer=answer, plain=plain)
