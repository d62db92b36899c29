"""The gRPC face: each method checks its request, calls one use case, and makes the response."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.errors import InvalidRequest
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.rpc import convert, limits
from server.rpc.interceptors import Context, caller
from server.rpc.paging import Position, page_token, position_of
from server.tuning import templates
from server.tuning.answer import Answerer
from server.tuning.history import Historian
from server.tuning.personalize import Personalizer, PersonalizeRules
from server.tuning.ports import GraphStore, LanguageModel, Page
from server.tuning.transfer import MAX_BYTES, MAX_LINES, Courier
from server.tuning.writes import Writer


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
    """kgt.v1.PersonalizationService over the use cases."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use = use_cases

    async def Personalize(self, request: pb.PersonalizeRequest, context: Context) -> pb.PersonalizeResponse:
        deadline = convert.deadline_of(context.time_remaining())
        command = convert.personalize_command(request, caller(), self._use.personalize_defaults, deadline)
        key = convert.request_key(request, request.request_id)
        fingerprints = self._fingerprints()
        response = await self._use.personalizer.personalize(
            command, key, lambda outcome: convert.personalize_response(outcome, fingerprints).SerializeToString()
        )
        return pb.PersonalizeResponse.FromString(response)

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        answer = self._use.answerer.ask(
            convert.answer_query(request, caller(), convert.deadline_of(context.time_remaining()))
        )
        evidence = await answer.evidence()
        text = "".join([piece async for piece in answer.text()])
        return convert.answer_response(evidence, text, answer.cost(), self._fingerprints())

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, context: Context
    ) -> AsyncIterator[pb.StreamAnswerResponse]:
        answer = self._use.answerer.ask(
            convert.answer_query(request, caller(), convert.deadline_of(context.time_remaining()))
        )
        yield convert.evidence_message(await answer.evidence(), self._fingerprints())
        async for piece in answer.text():
            yield pb.StreamAnswerResponse(text=piece)
        yield pb.StreamAnswerResponse(totals=pb.StreamAnswerResponse.Totals(cost=convert.cost_message(answer.cost())))

    async def GetNeighborhood(self, request: pb.GetNeighborhoodRequest, context: Context) -> pb.GetNeighborhoodResponse:
        store, user = self._use.store, caller()
        concept = Concept.of(limits.concept(request.concept, "concept"))
        wanted = convert.at_revision(request)
        binding = ("neighborhood", concept.key, str(wanted), store.base_fingerprint)
        at = await self._position(request.page_token, user, wanted, *binding)
        known = (await store.look_up(user, [concept.key], at.revision)).get(concept.key)
        head = known.concept if known else concept
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await store.page_neighborhood(user, head, page, at.revision)
        return pb.GetNeighborhoodResponse(
            concept=head.text,
            triples=[convert.viewed_message(v) for v in listing.items],
            next_page_token=page_token(Position(at.revision, listing.next_cursor), user, *binding),
            revision=at.revision,
        )

    async def ListFacts(self, request: pb.ListFactsRequest, context: Context) -> pb.ListFactsResponse:
        user = caller()
        at = await self._position(request.page_token, user, None, "facts")
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await self._use.store.facts(user, page, at.revision)
        return pb.ListFactsResponse(
            facts=[convert.personal_fact_message(f) for f in listing.items],
            next_page_token=page_token(Position(at.revision, listing.next_cursor), user, "facts"),
            revision=at.revision,
        )

    async def EditFacts(self, request: pb.EditFactsRequest, context: Context) -> pb.EditFactsResponse:
        if not 1 <= len(request.add) + len(request.remove) <= limits.MAX_TRIPLES:
            raise InvalidRequest("add", f"add and remove hold 1 to {limits.MAX_TRIPLES} triples together")
        response = await self._use.historian.edit_facts(
            caller(),
            limits.triples(request.add, "add", self._use.vocabulary),
            limits.triples(request.remove, "remove", self._use.vocabulary),
            convert.expected_revision(request),
            convert.request_key(request, request.request_id),
            lambda edit: pb.EditFactsResponse(edit=convert.edit_message(edit)).SerializeToString(),
        )
        return pb.EditFactsResponse.FromString(response)

    async def ListEdits(self, request: pb.ListEditsRequest, context: Context) -> pb.ListEditsResponse:
        user = caller()
        at = await self._position(request.page_token, user, None, "edits")
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await self._use.store.edits(user, page, at.revision)
        return pb.ListEditsResponse(
            edits=[convert.edit_message(e) for e in listing.items],
            next_page_token=page_token(Position(at.revision, listing.next_cursor), user, "edits"),
            revision=at.revision,
        )

    async def RevertEdit(self, request: pb.RevertEditRequest, context: Context) -> pb.RevertEditResponse:
        response = await self._use.historian.revert(
            caller(),
            limits.edit_id(request.edit_id),
            request.skip_conflicts,
            convert.request_key(request, request.request_id),
            lambda reverted: convert.revert_response(reverted).SerializeToString(),
        )
        return pb.RevertEditResponse.FromString(response)

    async def ExportOverlay(
        self, request: pb.ExportOverlayRequest, context: Context
    ) -> AsyncIterator[pb.ExportOverlayResponse]:
        for line in await self._use.courier.export(caller()):
            yield pb.ExportOverlayResponse(line=line)

    async def ImportOverlay(
        self, requests: AsyncIterator[pb.ImportOverlayRequest], context: Context
    ) -> pb.ImportOverlayResponse:
        first: pb.ImportOverlayRequest | None = None
        lines: list[str] = []
        size = 0
        async for request in requests:
            first = first or request
            lines.extend(request.lines)
            size += request.ByteSize()
            if len(lines) > MAX_LINES or size > MAX_BYTES:
                raise InvalidRequest("lines", f"are more than {MAX_LINES} lines or {MAX_BYTES >> 20} MiB")
        assert first is not None  # the interceptor has seen it
        digest = hashlib.sha256("\n".join([str(first.merge), *lines]).encode()).digest()
        response = await self._use.courier.import_(
            caller(),
            lines,
            first.merge,
            convert.request_key(first, first.request_id, digest),
            lambda imported: convert.import_response(imported).SerializeToString(),
        )
        return pb.ImportOverlayResponse.FromString(response)

    async def EraseUser(self, request: pb.EraseUserRequest, context: Context) -> pb.EraseUserResponse:
        limits.request_id(request.request_id)
        user = caller()
        try:
            return convert.erase_response(await self._use.store.erase(user))
        finally:
            self._use.answerer.memories.forget(user)

    async def _position(self, token: str, user: str, at_revision: int | None, *binding: str) -> Position:
        """Where a listing starts or goes on; its first page is pinned to the overlay's revision."""
        position = position_of(token, user, *binding)
        if position is not None:
            return position
        if at_revision is not None:
            return Position(at_revision, "")
        return Position((await self._use.store.snapshot(user)).revision, "")

    def _fingerprints(self) -> pb.Fingerprints:
        return pb.Fingerprints(**fingerprints(self._use.store, self._use.model, self._use.vocabulary))


def fingerprints(store: GraphStore, model: LanguageModel, vocabulary: Vocabulary) -> dict[str, str]:
    """What tells two answers' circumstances apart."""
    return {
        "model": model.fingerprint,
        "adapter": model.adapter_fingerprint,
        "templates": templates.FINGERPRINT,
        "vocabulary": vocabulary.fingerprint,
        "base_graph": store.base_fingerprint,
    }
