"""The asynchronous client: the blocking one, awaited."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Self

import grpc.aio

from kgt import requests
from kgt.addresses import DEFAULT_ADDRESS
from kgt.client.connection import DEFAULT_TIMEOUT_S, channel_target, typed_errors
from kgt.requests import TripleLike
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc


class _Connection:
    """A channel to one server, and the deadline of the calls over it."""

    def __init__(
        self, address: str = DEFAULT_ADDRESS, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Connect to `address` (`host:port` or `unix:PATH`) when the first call is made.

        Raises InvalidAddress, which is a ValueError.
        """
        self.timeout_s = timeout_s
        target, options = channel_target(address)
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self.stub = pb_grpc.PersonalizationServiceStub(self._channel)

    def within(self, timeout_s: float) -> Self:
        """The same client over the same connection, with a deadline of `timeout_s` seconds."""
        other = copy.copy(self)
        other.timeout_s = timeout_s
        return other

    async def close(self) -> None:
        """Close the connection, also for the clients that `within` made."""
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class _OverlayMethods(_Connection):
    """The RPCs that read and change a user's overlay without asking the model."""

    async def get_neighborhood(
        self,
        *,
        user: str,
        concept: str,
        at_revision: int | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> pb.GetNeighborhoodResponse:
        """List the triples that start at `concept`, as this user sees them.

        `at_revision` shows them as of that edit; 0 shows the shared graph. Pages are read as in
        `list_facts`.
        """
        request = pb.GetNeighborhoodRequest(
            user=user,
            concept=concept,
            at_revision=at_revision,
            page_size=page_size,
            page_token=page_token,
        )
        with typed_errors():
            return await self.stub.GetNeighborhood(request, timeout=self.timeout_s)

    async def list_facts(
        self, *, user: str, page_size: int = 0, page_token: str = ""
    ) -> pb.ListFactsResponse:
        """List every triple that this user has added or removed, newest first.

        A `page_size` of 0 takes the server's default. Pass the response's `next_page_token` as
        `page_token` to read the next page; it is empty on the last one. Raises NotFound when the
        token is no longer valid: start the listing again.
        """
        request = pb.ListFactsRequest(user=user, page_size=page_size, page_token=page_token)
        with typed_errors():
            return await self.stub.ListFacts(request, timeout=self.timeout_s)

    async def edit_facts(
        self,
        *,
        user: str,
        add: Iterable[TripleLike] = (),
        remove: Iterable[TripleLike] = (),
        request_id: str | None = None,
        expected_revision: int | None = None,
    ) -> pb.EditFactsResponse:
        """Add and remove triples directly, without the model.

            await kgt.edit_facts(user="alice", add=[("Luna", "is a", "cat")])

        A triple is a message or (head, relation, tail). `request_id` and `expected_revision` are
        those of `personalize`. Raises AlreadyExists and Aborted as that does.
        """
        request = pb.EditFactsRequest(
            user=user,
            add=requests.triples(add),
            remove=requests.triples(remove),
            request_id=request_id or requests.new_request_id(),
            expected_revision=expected_revision,
        )
        with typed_errors():
            return await self.stub.EditFacts(request, timeout=self.timeout_s)

    async def list_edits(
        self, *, user: str, page_size: int = 0, page_token: str = ""
    ) -> pb.ListEditsResponse:
        """List this user's edits, newest first. Pages are read as in `list_facts`."""
        request = pb.ListEditsRequest(user=user, page_size=page_size, page_token=page_token)
        with typed_errors():
            return await self.stub.ListEdits(request, timeout=self.timeout_s)

    async def revert_edit(
        self,
        *,
        user: str,
        edit_id: str,
        skip_conflicts: bool = False,
        request_id: str | None = None,
    ) -> pb.RevertEditResponse:
        """Restore exactly what an edit changed, as a new edit.

        Raises NotFound when this user has no such edit. Raises FailedPrecondition when later edits
        rely on it, unless `skip_conflicts` leaves out what they rely on.
        """
        request = pb.RevertEditRequest(
            user=user,
            edit_id=edit_id,
            skip_conflicts=skip_conflicts,
            request_id=request_id or requests.new_request_id(),
        )
        with typed_errors():
            return await self.stub.RevertEdit(request, timeout=self.timeout_s)

    async def export_overlay(self, *, user: str) -> AsyncIterator[pb.ExportOverlayResponse]:
        """Stream one revision of the overlay, with its history, as JSON lines.

            messages = [m async for m in kgt.export_overlay(user="alice")]
            lines = list(whole_lines(messages))

        Raises DataLoss at the end of the stream when some edits' records were damaged.
        """
        request = pb.ExportOverlayRequest(user=user)
        with typed_errors():
            async for message in self.stub.ExportOverlay(request, timeout=self.timeout_s):
                yield message

    async def import_overlay(
        self,
        *,
        user: str,
        lines: Iterable[str],
        merge: bool = False,
        request_id: str | None = None,
    ) -> pb.ImportOverlayResponse:
        """Take back the lines of an export, into an empty overlay.

        With `merge` the overlay may have edits of its own; the import's net effect is added as new
        edits. Long lines are sent in pieces. Raises InvalidArgument when the lines are not a whole
        export.
        """
        messages = requests.import_messages(
            user=user, lines=lines, merge=merge, request_id=request_id
        )
        with typed_errors():
            return await self.stub.ImportOverlay(messages, timeout=self.timeout_s)

    async def erase_user(self, *, user: str, request_id: str | None = None) -> pb.EraseUserResponse:
        """Remove everything that the service keeps about a user."""
        request = pb.EraseUserRequest(user=user, request_id=request_id or requests.new_request_id())
        with typed_errors():
            return await self.stub.EraseUser(request, timeout=self.timeout_s)


class AsyncClient(_OverlayMethods):
    """The asynchronous client. Use it as a context manager, or await `close` when done."""

    async def retrieve(
        self,
        *,
        user: str,
        query: str,
        subject: str | None = None,
        at_revision: int | None = None,
        min_revision: int | None = None,
        max_facts: int | None = None,
    ) -> pb.RetrieveResponse:
        """Retrieve the facts that `answer` would read, without answering.

            (await kgt.retrieve(user="alice", query="What should I feed my dog?")).context

        `max_facts` is how many there are at most; as many as `answer` reads when left out. The
        other arguments and the errors are those of `answer`.
        """
        request = pb.RetrieveRequest(
            user=user,
            query=query,
            subject=subject,
            at_revision=at_revision,
            min_revision=min_revision,
            max_facts=max_facts,
        )
        with typed_errors():
            return await self.stub.Retrieve(request, timeout=self.timeout_s)

    async def personalize(
        self,
        *,
        user: str,
        query: str,
        answer: str,
        subject: str | None = None,
        object: str | None = None,
        relations: Sequence[str] = (),
        request_id: str | None = None,
        expected_revision: int | None = None,
        preview: bool = False,
        verify: bool | None = None,
        options: pb.PersonalizeOptions | None = None,
        answer_before: str | None = None,
    ) -> pb.PersonalizeResponse:
        """Find the few triples to add and remove so that `query` gets `answer`, and commit them.

            await kgt.personalize(user="alice", query="What does a dog enjoy?", answer="vegetables")

        Args:
            user: whose view of the graph to change. No other user sees the change.
            query: the question, as the user asked it.
            answer: the answer that the user wants.
            subject: the concept that the query is about; found in the query when left out.
            object: the concept that the answer names; the answer itself when left out.
            relations: relations between subject and object, where the caller knows them.
            request_id: sent again with the same arguments, returns the first response and changes
                nothing. A new one is made for each call that names none.
            expected_revision: commit only on top of this revision of the overlay.
            preview: compute everything and commit nothing.
            verify: generate the answer before and after, and go on until it is `answer`.
            options: how the method works; see PersonalizeOptions in the contract.
            answer_before: what the user was answered. It saves generating that answer again.

        Raises:
            InvalidArgument: an argument cannot be used; `fields` names it.
            AlreadyExists: `request_id` was used for another request.
            Aborted: the overlay is not at `expected_revision`.
        """
        request = pb.PersonalizeRequest(
            user=user,
            query=query,
            answer=answer,
            subject=subject,
            object=object,
            relations=relations,
            request_id=request_id or requests.new_request_id(),
            expected_revision=expected_revision,
            preview=preview,
            verify=verify,
            options=options,
            answer_before=answer_before,
        )
        with typed_errors():
            return await self.stub.Personalize(request, timeout=self.timeout_s)

    async def answer(
        self,
        *,
        user: str,
        query: str,
        subject: str | None = None,
        at_revision: int | None = None,
        min_revision: int | None = None,
        candidates: Sequence[str] = (),
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> pb.AnswerResponse:
        """Retrieve facts from the user's view of the graph and answer from them.

            (await kgt.answer(user="alice", query="What should I feed my dog?")).text

        Args:
            user: whose view of the graph to answer from.
            query: the question.
            subject: the concept that the query is about; found in the query when left out.
            at_revision: answer as of this edit; 0 is the answer without personalization.
            min_revision: fail unless the overlay has reached this revision.
            candidates: answers whose log-probabilities to return.
            max_tokens: the longest answer, in tokens of the model.
            temperature: draw the answer at this temperature; greedy when left out.
            seed: with a temperature, equal seeds draw equal answers.

        Raises:
            InvalidArgument: an argument cannot be used; `fields` names it.
            NotFound: the overlay has not reached `at_revision`.
            Unavailable: the overlay has not reached `min_revision`.
        """
        request = pb.AnswerRequest(
            user=user,
            query=query,
            subject=subject,
            at_revision=at_revision,
            min_revision=min_revision,
            candidates=candidates,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
        )
        with typed_errors():
            return await self.stub.Answer(request, timeout=self.timeout_s)

    async def stream_answer(
        self,
        *,
        user: str,
        query: str,
        subject: str | None = None,
        at_revision: int | None = None,
        min_revision: int | None = None,
        candidates: Sequence[str] = (),
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> AsyncIterator[pb.StreamAnswerResponse]:
        """Answer in pieces: first the evidence, then the text, then the totals.

            async for part in kgt.stream_answer(user="alice", query="What does a dog enjoy?"):
                print(part.text, end="")

        The arguments and errors are those of `answer`. Errors are raised while iterating.
        """
        request = pb.StreamAnswerRequest(
            user=user,
            query=query,
            subject=subject,
            at_revision=at_revision,
            min_revision=min_revision,
            candidates=candidates,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
        )
        with typed_errors():
            async for message in self.stub.StreamAnswer(request, timeout=self.timeout_s):
                yield message
