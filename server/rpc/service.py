"""The gRPC face: each method checks its request, calls one use case, and makes the response."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.graph.relation import Vocabulary
from server.rpc import limits, requests, responses
from server.rpc.errors import ExportsBusy, Starting
from server.rpc.identity.callers import Context
from server.rpc.interceptors import caller
from server.rpc.listings import Listings
from server.rpc.load import Load
from server.rpc.spool import Imports, received
from server.rpc.under_way import UnderWay
from server.tuning.answer import Answerer
from server.tuning.cost import CostMeter
from server.tuning.history import Historian
from server.tuning.learn.learner import Learner
from server.tuning.personalize.command import PersonalizeRules
from server.tuning.personalize.personalizer import Personalizer
from server.tuning.ports import GraphStore, LanguageModel
from server.tuning.retrieve import Librarian
from server.tuning.transfer import Courier
from server.writing.erasing import Erasing
from server.writing.writes import Writes


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the service calls, and what it calls them with."""

    store: GraphStore
    model: LanguageModel
    vocabulary: Vocabulary
    fingerprints: Callable[[], Mapping[str, str]]
    """Returns a fingerprint of each thing that an answer depends on, by the contract's names."""
    answerer: Answerer
    librarian: Librarian
    personalizer: Personalizer
    personalize_defaults: PersonalizeRules
    learner: Learner
    historian: Historian
    courier: Courier
    writes: Writes
    erasing: Erasing


class PersonalizationService(pb_grpc.PersonalizationServiceServicer):
    """kgt.v1.PersonalizationService over the use cases. Refuses calls until it is given some."""

    def __init__(self, use_cases: UseCases | None, load: Load) -> None:
        self._use_cases = use_cases
        self._load = load
        self._imports = Imports(load)
        self._exports = UnderWay(ExportsBusy, load.user_exports, load.exports)
        self._listings = Listings()

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
        command = requests.personalize_command(
            request, caller(), use.personalize_defaults, self._load.text_bytes
        )
        kept = requests.kept(request, pb.PersonalizeResponse)
        return await use.writes.respond(
            command.user,
            partial(use.personalizer.propose, command),
            partial(responses.personalize_response, fingerprints=fingerprints),
            None if command.preview else kept,
            expected_revision=requests.expected_revision(request),
        )

    async def Learn(self, request: pb.LearnRequest, context: Context) -> pb.LearnResponse:
        use, fingerprints = self._use, self._fingerprints()
        command = requests.learn_command(request, caller(), self._load.text_bytes)
        kept = requests.kept(request, pb.LearnResponse)
        return await use.writes.respond(
            command.user,
            partial(use.learner.propose, command),
            partial(responses.learn_response, fingerprints=fingerprints),
            None if command.preview else kept,
            expected_revision=requests.expected_revision(request),
        )

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> pb.AnswerResponse:
        query = requests.answer_query(request, caller(), self._load.text_bytes)
        answer = await self._use.answerer.answer(query)
        return responses.answer_response(answer, self._fingerprints())

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, context: Context
    ) -> AsyncGenerator[pb.StreamAnswerResponse, None]:
        answerer, meter = self._use.answerer, CostMeter()
        query = requests.answer_query(request, caller(), self._load.text_bytes)
        evidence = await answerer.evidence(query, meter)
        yield responses.evidence_response(evidence, self._fingerprints())
        async for piece in answerer.text(evidence, meter):
            yield pb.StreamAnswerResponse(text=piece)
        yield responses.totals_response(meter.total())

    async def Retrieve(self, request: pb.RetrieveRequest, context: Context) -> pb.RetrieveResponse:
        query = requests.retrieve_query(request, caller(), self._load.text_bytes)
        return responses.retrieve_response(
            await self._use.librarian.retrieve(query), self._fingerprints()
        )

    async def GetNeighborhood(
        self, request: pb.GetNeighborhoodRequest, context: Context
    ) -> pb.GetNeighborhoodResponse:
        return await self._listings.neighborhood(self._use.store, caller(), request)

    async def ListFacts(
        self, request: pb.ListFactsRequest, context: Context
    ) -> pb.ListFactsResponse:
        return await self._listings.facts(self._use.store, caller(), request)

    async def EditFacts(
        self, request: pb.EditFactsRequest, context: Context
    ) -> pb.EditFactsResponse:
        use = self._use
        command = requests.edit_facts_command(request, caller(), use.vocabulary)
        return await use.writes.respond(
            command.user,
            partial(use.historian.propose_edit, command),
            responses.edit_facts_response,
            requests.kept(request, pb.EditFactsResponse),
            expected_revision=requests.expected_revision(request),
        )

    async def ListEdits(
        self, request: pb.ListEditsRequest, context: Context
    ) -> pb.ListEditsResponse:
        return await self._listings.edits(self._use.store, caller(), request)

    async def RevertEdit(
        self, request: pb.RevertEditRequest, context: Context
    ) -> pb.RevertEditResponse:
        use, command = self._use, requests.revert_command(request, caller())
        return await use.writes.respond(
            command.user,
            partial(use.historian.propose_revert, command),
            responses.revert_response,
            requests.kept(request, pb.RevertEditResponse),
        )

    async def ExportOverlay(
        self, request: pb.ExportOverlayRequest, context: Context
    ) -> AsyncGenerator[pb.ExportOverlayResponse, None]:
        with self._exports.begun(caller()):
            for line in await self._use.courier.export(caller()):
                for message in responses.export_responses(line):
                    yield message

    async def ImportOverlay(
        self, messages: AsyncIterator[pb.ImportOverlayRequest], context: Context
    ) -> pb.ImportOverlayResponse:
        with self._imports.begun(caller()) as spool:
            first = await received(messages, spool, self._load.import_s)
            use, kept = self._use, requests.kept_import(first, spool.sha256)
            command = await use.courier.command(caller(), spool, merge=first.merge)
            return await use.writes.respond(
                command.user,
                partial(use.courier.propose_import, command),
                responses.import_response,
                kept,
            )

    async def EraseUser(
        self, request: pb.EraseUserRequest, context: Context
    ) -> pb.EraseUserResponse:
        request_id = limits.request_id(request.request_id)
        return responses.erase_response(await self._use.erasing.erase(caller(), request_id))

    def _fingerprints(self) -> pb.Fingerprints:
        return pb.Fingerprints(**self._use.fingerprints())
