"""The tools: each calls the service as the user whose memory it is.

Their docstrings and the descriptions of their arguments are what a model reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from kgt.client import AsyncClient
from kgt.errors import CallError
from kgt.mcp.results import (
    Answered,
    Corrected,
    Forgotten,
    Known,
    KnownFact,
    Recalled,
    RecalledFact,
    Remembered,
    RememberedFact,
    Statement,
    Undone,
)
from kgt.v1 import personalization_pb2 as pb

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
ERASES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)
_PAGE = 50
_STATUS = {int(pb.ORIGIN_ADDED): "told", int(pb.ORIGIN_REMOVED): "removed"}

Question = Annotated[str, Field(description="the user's question, in the user's own words")]


class Tools:
    """The tools of one server. `whose` returns the user for whom the present call is made."""

    def __init__(self, client: AsyncClient, whose: Callable[[], str]) -> None:
        self._client = client
        self._whose = whose

    def add_to(self, server: MCPServer[Any]) -> None:
        """Offer all of them."""
        for tool, hints in (
            (self.recall, READS),
            (self.answer, READS),
            (self.what_do_you_know, READS),
            (self.remember, CHANGES),
            (self.correct, CHANGES),
            (self.undo, CHANGES),
            (self.forget_me, ERASES),
        ):
            described = inspect.getdoc(tool)  # without the source's indentation
            server.add_tool(tool, description=described, annotations=hints, structured_output=True)

    async def recall(
        self,
        question: Question,
        max_facts: Annotated[
            int | None, Field(description="at most so many facts", ge=1, le=100)
        ] = None,
    ) -> Recalled:
        """Find what is known that helps to answer the user's question.

        Call it before you answer anything that may depend on who the user is: their family, pets,
        work, home, tastes, plans. It is fast and writes no answer. An empty result means that
        nothing known fits; then answer without it and do not guess what the user has told.
        """
        with _told():
            found = await self._client.retrieve(
                user=self._whose(), query=question, max_facts=max_facts
            )
        facts = [
            RecalledFact(
                words=fact.words,
                personal=fact.origin == pb.ORIGIN_ADDED,
                probability=fact.retrieval_probability,
                edit_id=fact.edit_id,
            )
            for fact in found.facts
        ]
        return Recalled(context=found.context, facts=facts)

    async def answer(self, question: Question) -> Answered:
        """Let the memory's own small language model answer the user's question from what it knows.

        Prefer `recall` and answer yourself. This shows what the memory itself would say, for
        example to check that a correction was learned.
        """
        with _told():
            answered = await self._client.answer(user=self._whose(), query=question)
        return Answered(text=answered.text, facts=_statements(answered.facts))

    async def what_do_you_know(
        self,
        about: Annotated[
            str | None,
            Field(
                description='one thing, such as "dog"; "I" is the user. Left out: all that the'
                " user told or took back, newest first"
            ),
        ] = None,
        page: Annotated[str, Field(description="the `next_page` of the page before")] = "",
    ) -> Known:
        """List what is known, with what the user told and took back.

        Use it when the user asks what you know or remember about them, or to find the change that
        they want undone.
        """
        with _told():
            if about is None:
                facts = await self._client.list_facts(
                    user=self._whose(), page_size=_PAGE, page_token=page
                )
                return Known(
                    facts=[_known(f, f.edit_id) for f in facts.facts],
                    next_page=facts.next_page_token,
                )
            around = await self._client.get_neighborhood(
                user=self._whose(), concept=about, page_size=_PAGE, page_token=page
            )
        return Known(
            facts=[_known(f, "") for f in around.triples], next_page=around.next_page_token
        )

    async def remember(
        self,
        text: Annotated[
            str,
            Field(
                description="what the user said, in their own words: "
                '"My daughter is allergic to peanuts", "I don\'t drink coffee any more"'
            ),
        ],
        context: Annotated[
            str | None,
            Field(
                description="the last question and its answer, where the text needs them:"
                ' "Q: What does my dog eat? A: meat"'
            ),
        ] = None,
    ) -> Remembered:
        """Learn the lasting facts in what the user says about themselves.

        Call it when the user tells something about their life, or takes something back. Questions
        and small talk teach nothing. `undo` takes the change back.
        """
        with _told():
            learned = await self._client.learn(user=self._whose(), text=text, context=context)
        facts = [
            RememberedFact(
                words=fact.words,
                source=fact.source,
                fate=pb.Fate.Name(fact.fate).removeprefix("FATE_").lower(),
                replaced=list(map(Statement.of, fact.removed)),
            )
            for fact in learned.facts
        ]
        return Remembered(
            edit_id=learned.edit.id,
            facts=facts,
            not_understood=[line.source or line.line for line in learned.not_understood],
        )

    async def correct(
        self,
        question: Annotated[
            str, Field(description='what was asked, as a question: "What does my dog eat?"')
        ],
        answer: Annotated[
            str, Field(description='the right answer in a few words: "only vegetables"')
        ],
        answer_before: Annotated[
            str | None, Field(description="what the user was answered, if there was an answer")
        ] = None,
    ) -> Corrected:
        """Learn that a question has another answer for this user.

        Call it when the user says that something is wrong ("no, he eats only vegetables"). Write
        the question so that it can be understood by itself, from the user's view ("my dog", "I").
        Afterwards the question gets that answer in other words, too. `undo` takes it back.
        """
        with _told():
            done = await self._client.personalize(
                user=self._whose(), query=question, answer=answer, answer_before=answer_before
            )
        return Corrected(
            edit_id=done.edit.id,
            answer_before=done.answer_before,
            answer_after=done.answer_after,
            learned=done.converged,
            added=_statements(done.edit.added),
            removed=_statements(done.edit.removed),
            explanation=done.explanation,
        )

    async def undo(
        self,
        edit_id: Annotated[
            str, Field(description="the `edit_id` that another tool returned for the change")
        ],
    ) -> Undone:
        """Take back exactly what one change did. It fails if later changes build on it."""
        with _told():
            undone = await self._client.revert_edit(user=self._whose(), edit_id=edit_id)
        return Undone(
            edit_id=undone.edit.id,
            added=_statements(undone.edit.added),
            removed=_statements(undone.edit.removed),
        )

    async def forget_me(
        self,
        confirmed: Annotated[
            bool,
            Field(description="true only after the user has said that everything is to be erased"),
        ],
    ) -> Forgotten:
        """Erase everything that is kept about the user. Nothing brings it back.

        Ask the user first. To take back a single fact, use `correct` or `undo` instead.
        """
        if not confirmed:
            raise ToolError("Nothing was erased: ask the user first, then call with confirmed.")
        with _told():
            erased = await self._client.erase_user(user=self._whose())
        return Forgotten(changes=erased.edits, facts=erased.added_triples + erased.removed_triples)


@contextmanager
def _told() -> Iterator[None]:
    """Make the service's errors errors of the tool, which the model reads."""
    try:
        yield
    except CallError as error:
        kind = error.reason or type(error).__name__
        fields = "".join(f" ({name}: {what})" for name, what in error.fields.items())
        again = f" Try again in {error.retry_after_s:g} s." if error.retry_after_s else ""
        raise ToolError(f"{kind}: {error}{fields}.{again}") from error


def _statements(found: Iterable[pb.Fact] | Iterable[pb.TripleChange]) -> list[Statement]:
    return [Statement.of(one.triple) for one in found]


def _known(fact: pb.PersonalFact | pb.ViewedTriple, edit_id: str) -> KnownFact:
    status = _STATUS.get(fact.origin, "general")
    return KnownFact(statement=Statement.of(fact.triple), status=status, edit_id=edit_id)
