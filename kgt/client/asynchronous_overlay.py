"""The asynchronous client's connection, and its calls about an overlay that ask no model."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import grpc.aio

from kgt import requests
from kgt.addresses import DEFAULT_ADDRESS, for_client
from kgt.client.access import Access, Pem, Token, channel_credentials, with_token
from kgt.client.connection import DEFAULT_TIMEOUT_S, channel_target, ended_when_left, typed_errors
from kgt.requests import TripleLike
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc


def open_channel(address: str, access: Access) -> grpc.aio.Channel:
    """A channel to `address`, with TLS where `access` asks for it.

    Raises ValueError and OSError as `Connection` does.
    """
    target, options = channel_target(address)
    credentials = channel_credentials(for_client(address), **access)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, credentials, options)


class Connection:
    """A channel to one server, and the deadline of the calls over it."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        token: Token | None = None,
        root_certificates: Pem | None = None,
        certificate: Pem | None = None,
        key: Pem | None = None,
    ) -> None:
        """Connect to `address` (`host:port` or `unix:PATH`) when the first call is made.

        Args:
            address: the server.
            timeout_s: the deadline of a call, in seconds.
            token: who calls: a token, a file with one, or a function that returns one. File and
                function are asked at every call.
            root_certificates: the authorities that the server's certificate is from, in PEM. With
                them, or with a certificate, the connection uses TLS.
            certificate: the client's own certificate, in PEM, where the server asks for one.
            key: the private key of `certificate`.

        Raises ValueError for arguments that do not fit together, among them InvalidAddress, and
        OSError for a file that cannot be read.
        """
        self.timeout_s = timeout_s
        access = Access(
            token=token, root_certificates=root_certificates, certificate=certificate, key=key
        )
        self._channel = open_channel(address, access)
        self.stub = with_token(pb_grpc.PersonalizationServiceStub(self._channel), token)

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


class OverlayMethods(Connection):
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
        with (
            typed_errors(),
            ended_when_left(self.stub.ExportOverlay(request, timeout=self.timeout_s)) as call,
        ):
            async for message in call:
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
