"""What the tests of the subject share: how to ask, and how to tell the user's own facts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from server.tuning.subject.choice import SubjectChoice

Ask = Callable[..., Awaitable[SubjectChoice]]
Tell = Callable[..., Awaitable[None]]


async def subject(ask: Ask, query: str, user: str = "alice") -> str:
    return (await ask(query, user)).match.concept.key
