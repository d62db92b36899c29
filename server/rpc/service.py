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
from server.tuning.cost import CostMeter
from server.tuning.history import EditFactsCommand, Historian, RevertCommand
from server.tuning.personalize.command import PersonalizeRules
from server.tuning.personalize.personalizer import Personalizer
from server.tuning.ports import GraphStore, LanguageModel, Page
from server.tuning.transfer import Courier
from server.writing.erasing import Erasing
from server.writing.writes import Writes

_QUICK_BYTES = 1 << 16
"""Of lines that are written on the event loop: that takes less than a change of threads."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the service calls."""

    store: GraphStore
    model: LanguageModel
    vocabulary: Vocabulary
    writes: Writes
    erasing: Erasing
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
        use, fingerprints = self._use, self._fingerprints()
        command = convert.personalize_command(request, caller(), use.personalize_defaults)
        expected = convert.expected_revision(request)
        key = convert.request_key(request, request.request_id)
        return await use.writes.run(
            command.user,
            lambda snapshot: use.personalizer.propose(command, snapshot),
            convert.reply(
                pb.PersonalizeResponse,
                lambda outcome: convert.personalize_response(outcome, fingerprints),
                "query",
            ),
            None if command.preview else key,
            expected_revision=expected,
        )

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        answer = await self._use.answerer.answer(convert.answer_query(request, caller()))
        response = convert.answer_response(answer, self._fingerprints())
        return convert.fitting(response, "candidates")

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, context: Context
    ) -> AsyncGenerator[pb.StreamAnswerResponse, None]:
        answerer, meter = self._use.answerer, CostMeter()
        evidence = await answerer.evidence(convert.answer_query(request, caller()), meter)
        message = convert.evidence_message(evidence, self._fingerprints())
        yield convert.fitting(message, "candidates")
        async for piece in answerer.text(evidence, meter):
            yield pb.StreamAnswerResponse(text=piece)
        yield pb.StreamAnswerResponse(
            totals=pb.StreamAnswerResponse.Totals(cost=convert.cost_message(meter.total()))
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
        use = self._use
        command = EditFactsCommand.of(
            caller(),
            use.vocabulary,
            limits.triples(request.add, "add", use.vocabulary),
            limits.triples(request.remove, "remove", use.vocabulary),
        )
        return await use.writes.run(
            command.user,
            lambda snapshot: use.historian.propose_edit(command, snapshot),
            convert.reply(
                pb.EditFactsResponse,
                lambda outcome: pb.EditFactsResponse(edit=convert.edit_message(outcome.edit)),
                "add",
            ),
            convert.request_key(request, request.request_id),
            expected_revision=convert.expected_revision(request),
        )

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
        use = self._use
        edit_id = limits.edit_id(request.edit_id)
        command = RevertCommand(caller(), edit_id, request.skip_conflicts)
        return await use.writes.run(
            command.user,
            lambda snapshot: use.historian.propose_revert(command, snapshot),
            convert.reply(pb.RevertEditResponse, convert.revert_response, "edit_id"),
            convert.request_key(request, request.request_id),
        )

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
            use = self._use
            digest = hashlib.sha256(f"{first.merge}\n".encode() + spool.sha256).digest()
            key = convert.request_key(first, first.request_id, digest)
            command = await use.courier.command(caller(), spool, merge=first.merge)
            return await use.writes.run(
                command.user,
                lambda snapshot: use.courier.propose_import(command, snapshot),
                convert.reply(pb.ImportOverlayResponse, convert.import_response, "lines"),
                key,
            )

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
        request_id = limits.request_id(request.request_id)
        return convert.erase_response(await self._use.erasing.erase(caller(), request_id))

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
