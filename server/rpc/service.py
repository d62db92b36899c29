"""The gRPC face: each method checks its request, calls one use case, and makes the response."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace

from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.errors import CallStalled, InvalidRequest, Starting, UnknownPageToken
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.rpc import convert, limits
from server.rpc.interceptors import Context, caller
from server.rpc.load import Load
from server.rpc.paging import PageTokens, Position
from server.rpc.spool import Imports, Spool
from server.tuning import templates
from server.tuning.answer import Answerer
from server.tuning.history import Historian
from server.tuning.personalize import Personalizer, PersonalizeRules
from server.tuning.ports import GraphStore, LanguageModel, Page
from server.tuning.transfer import Courier
from server.tuning.writes import Writer

_QUICK_BYTES = 1 << 16
"""Of lines that are written on the event loop: that takes less than a change of threads."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the service calls."""

    store: GraphStore
    model: LanguageModel
    vocabulary: Vocabulary
    writer: Writer
    answerer: Answerer
    personalizer: Personalizer
    historian: Historian
    courier: Courier
    personalize_defaults: PersonalizeRules


class PersonalizationService(pb_grpc.PersonalizationServiceServicer):
    """kgt.v1.PersonalizationService over the use cases; without them, it refuses calls until it is
    given some."""

    def __init__(self, use_cases: UseCases | None, load: Load) -> None:
        self._use_cases = use_cases
        self._load = load
        self._imports = Imports(load)
        self._tokens = PageTokens()

    def start(self, use_cases: UseCases) -> None:
        """Serve calls from now on."""
        self._use_cases = use_cases

    @property
    def _use(self) -> UseCases:
        """The use cases. Raises Starting."""
        if self._use_cases is None:
            raise Starting
        return self._use_cases

    async def Personalize(
        self, request: pb.PersonalizeRequest, context: Context
    ) -> pb.PersonalizeResponse:
        deadline = convert.deadline_of(context.time_remaining())
        command = convert.personalize_command(
            request, caller(), self._use.personalize_defaults, deadline
        )
        key = convert.request_key(request, request.request_id)
        fingerprints = self._fingerprints()
        response = await self._use.personalizer.personalize(
            command,
            key,
            lambda outcome: convert.encoded(
                convert.personalize_response(outcome, fingerprints), "query"
            ),
        )
        return pb.PersonalizeResponse.FromString(response)

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        answer = self._use.answerer.ask(
            convert.answer_query(request, caller(), convert.deadline_of(context.time_remaining()))
        )
        evidence = await answer.evidence()
        text = "".join([piece async for piece in answer.text()])
        response = convert.answer_response(evidence, text, answer.cost(), self._fingerprints())
        return convert.fitting(response, "candidates")

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, context: Context
    ) -> AsyncGenerator[pb.StreamAnswerResponse, None]:
        answer = self._use.answerer.ask(
            convert.answer_query(request, caller(), convert.deadline_of(context.time_remaining()))
        )
        evidence = convert.evidence_message(await answer.evidence(), self._fingerprints())
        yield convert.fitting(evidence, "candidates")
        async for piece in answer.text():
            yield pb.StreamAnswerResponse(text=piece)
        yield pb.StreamAnswerResponse(
            totals=pb.StreamAnswerResponse.Totals(cost=convert.cost_message(answer.cost()))
        )

    async def GetNeighborhood(
        self, request: pb.GetNeighborhoodRequest, context: Context
    ) -> pb.GetNeighborhoodResponse:
        store, user = self._use.store, caller()
        concept = Concept.of(limits.concept(request.concept, "concept"))
        wanted = convert.at_revision(request)
        binding = ("neighborhood", concept.key, str(wanted), store.base_fingerprint)
        at = await self._position(request.page_token, user, *binding, at_revision=wanted)
        known = (await store.look_up(user, [concept.key], at.revision)).get(concept.key)
        head = known.concept if known else concept
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await store.page_neighborhood(user, head, page, at.revision)
        return pb.GetNeighborhoodResponse(
            concept=head.text,
            triples=[convert.viewed_message(v) for v in listing.items],
            next_page_token=self._next(at, listing.next_cursor, user, *binding),
            revision=at.revision,
        )

    async def ListFacts(
        self, request: pb.ListFactsRequest, context: Context
    ) -> pb.ListFactsResponse:
        user = caller()
        at = await self._position(request.page_token, user, "facts")
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await self._use.store.personal_facts(user, page, at.revision)
        return pb.ListFactsResponse(
            facts=[convert.personal_fact_message(f) for f in listing.items],
            next_page_token=self._next(at, listing.next_cursor, user, "facts"),
            revision=at.revision,
        )

    async def EditFacts(
        self, request: pb.EditFactsRequest, context: Context
    ) -> pb.EditFactsResponse:
        if not 1 <= len(request.add) + len(request.remove) <= limits.MAX_TRIPLES:
            raise InvalidRequest(
                "add", f"add and remove hold 1 to {limits.MAX_TRIPLES} triples together"
            )
        response = await self._use.historian.edit_facts(
            caller(),
            limits.triples(request.add, "add", self._use.vocabulary),
            limits.triples(request.remove, "remove", self._use.vocabulary),
            convert.expected_revision(request),
            convert.request_key(request, request.request_id),
            lambda edit: convert.encoded(
                pb.EditFactsResponse(edit=convert.edit_message(edit)), "add"
            ),
        )
        return pb.EditFactsResponse.FromString(response)

    async def ListEdits(
        self, request: pb.ListEditsRequest, context: Context
    ) -> pb.ListEditsResponse:
        user = caller()
        at = await self._position(request.page_token, user, "edits")
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await self._use.store.edits(user, page, at.revision)
        return pb.ListEditsResponse(
            edits=[convert.listed_message(e) for e in listing.items],
            next_page_token=self._next(at, listing.next_cursor, user, "edits"),
            revision=at.revision,
        )

    async def RevertEdit(
        self, request: pb.RevertEditRequest, context: Context
    ) -> pb.RevertEditResponse:
        response = await self._use.historian.revert(
            caller(),
            limits.edit_id(request.edit_id),
            request.skip_conflicts,
            convert.request_key(request, request.request_id),
            lambda reverted: convert.encoded(convert.revert_response(reverted), "edit_id"),
        )
        return pb.RevertEditResponse.FromString(response)

    async def ExportOverlay(
        self, request: pb.ExportOverlayRequest, context: Context
    ) -> AsyncGenerator[pb.ExportOverlayResponse, None]:
        for line in await self._use.courier.export(caller()):
            for message in convert.line_messages(line):
                yield message

    async def ImportOverlay(
        self, requests: AsyncIterator[pb.ImportOverlayRequest], context: Context
    ) -> pb.ImportOverlayResponse:
        with self._imports.begun(caller()) as spool:
            first = await self._received(requests, spool)
            digest = hashlib.sha256(f"{first.merge}\n".encode() + spool.sha256).digest()
            response = await self._use.courier.import_(
                caller(),
                spool,
                first.merge,
                convert.request_key(first, first.request_id, digest),
                lambda imported: convert.encoded(convert.import_response(imported), "lines"),
            )
        return pb.ImportOverlayResponse.FromString(response)

    async def _received(
        self, requests: AsyncIterator[pb.ImportOverlayRequest], spool: Spool
    ) -> pb.ImportOverlayRequest:
        """Write all lines into `spool`; returns the first message. Raises CallStalled."""
        first: pb.ImportOverlayRequest | None = None
        try:
            async with asyncio.timeout(self._load.import_s):
                async for request in requests:
                    if first is not None and not request.lines:
                        raise InvalidRequest("lines", "are missing from a message after the first")
                    first = first or request
                    spool.count(len(request.lines), request.ByteSize())
                    if request.ByteSize() < _QUICK_BYTES:
                        spool.add(request.lines, continued=request.continued)
                    else:
                        await asyncio.to_thread(
                            spool.add, request.lines, continued=request.continued
                        )
        except TimeoutError:
            raise CallStalled(self._load.import_s) from None
        assert first is not None  # the interceptor has seen it
        return first

    async def EraseUser(
        self, request: pb.EraseUserRequest, context: Context
    ) -> pb.EraseUserResponse:
        user, request_id = caller(), limits.request_id(request.request_id)
        try:
            return convert.erase_response(await self._use.writer.erase(user, request_id))
        finally:
            self._use.answerer.memories.forget(user)

    async def _position(
        self, token: str, user: str, *binding: str, at_revision: int | None = None
    ) -> Position:
        """Where a listing starts or goes on; its first page is pinned to the overlay's revision."""
        snapshot = await self._use.store.snapshot(user)
        if not token:
            return Position(
                snapshot.revision if at_revision is None else at_revision, snapshot.overlay_id
            )
        position = self._tokens.position(token, user, *binding)
        if position.revision > 0 and position.overlay_id != snapshot.overlay_id:
            raise UnknownPageToken  # the user was erased since
        return position

    def _next(self, at: Position, cursor: str, user: str, *binding: str) -> str:
        """The token of the page after the one `at` a position."""
        return self._tokens.token(replace(at, cursor=cursor), user, *binding)

    def _fingerprints(self) -> pb.Fingerprints:
        return pb.Fingerprints(
            **fingerprints(self._use.store, self._use.model, self._use.vocabulary)
        )


def fingerprints(store: GraphStore, model: LanguageModel, vocabulary: Vocabulary) -> dict[str, str]:
    """What tells two answers' circumstances apart."""
    return {
        "model": model.fingerprint,
        "adapter": model.adapter_fingerprint,
        "templates": templates.FINGERPRINT,
        "vocabulary": vocabulary.fingerprint,
        "base_graph": store.base_fingerprint,
    }
