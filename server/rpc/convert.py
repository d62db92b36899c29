"""Messages to values and back. Requests are checked here; responses are made here."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from kgt.v1 import personalization_pb2 as pb
from server.errors import InvalidRequest, ResponseTooLarge
from server.graph.checks import MAX_TIME_MS
from server.graph.edit import (
    Change,
    Edit,
    EditKind,
    StopReason,
    TripleProbabilities,
    UnreadableEdit,
)
from server.graph.neighborhood import ViewedTriple
from server.graph.triple import Origin, Triple
from server.rpc import limits
from server.rpc.limits import MAX_RESPONSE_BYTES
from server.tuning.algorithm import Removal, Stopping
from server.tuning.answer import Answer, AnswerQuery, Evidence, RetrievedFact
from server.tuning.cost import Cost
from server.tuning.history import Reverted
from server.tuning.personalize.command import PersonalizeCommand, PersonalizeRules, RelationSource
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.ports import Erased, PersonalFact
from server.tuning.scoring import ScoringBudget
from server.tuning.subject.choice import Match
from server.tuning.transfer import Imported
from server.writing.writes import Proposal, Reply, RequestKey

Choice = TypeVar("Choice")
Sent = TypeVar("Sent", bound=Message)
Outcome = TypeVar("Outcome", bound=Proposal)

_MOST_EDIT_BYTES = 3 << 20
"""Of an edit's message; what stands next to it in a response has the rest of MAX_RESPONSE_BYTES."""
_PIECE_CHARACTERS = MAX_RESPONSE_BYTES // 4 - 64
"""Of a line of an export; a character takes up to four bytes."""
MOST_NAMED = 20
"""Edits named for each triple that a revert left out."""

_ORIGINS = {
    Origin.BASE: pb.ORIGIN_BASE,
    Origin.ADDED: pb.ORIGIN_ADDED,
    Origin.REMOVED: pb.ORIGIN_REMOVED,
}
_KINDS = {
    EditKind.PERSONALIZE: pb.EDIT_KIND_PERSONALIZE,
    EditKind.FACTS: pb.EDIT_KIND_FACTS,
    EditKind.REVERT: pb.EDIT_KIND_REVERT,
    EditKind.IMPORT: pb.EDIT_KIND_IMPORT,
}
_STOP_REASONS = {
    StopReason.ALREADY_CORRECT: pb.STOP_REASON_ALREADY_CORRECT,
    StopReason.OVERTOOK: pb.STOP_REASON_OVERTOOK,
    StopReason.LOSS: pb.STOP_REASON_LOSS,
    StopReason.EXHAUSTED: pb.STOP_REASON_EXHAUSTED,
}
_STOPPINGS = {pb.STOPPING_ANSWER: Stopping.ANSWER, pb.STOPPING_LITERAL: Stopping.LITERAL}
_REMOVALS = {
    pb.REMOVAL_CONFLICTING: Removal.CONFLICTING,
    pb.REMOVAL_LITERAL: Removal.LITERAL,
    pb.REMOVAL_NONE: Removal.NONE,
}
_SOURCES = {
    pb.RELATION_SOURCE_GENERATED: RelationSource.GENERATED,
    pb.RELATION_SOURCE_RANKED: RelationSource.RANKED,
}

# Requests


def request_key(
    request: Message, request_id: str, content: bytes | None = None
) -> RequestKey | None:
    """The identity of a write: its id, and a hash of everything else in it."""
    checked = limits.request_id(request_id)
    if checked is None:
        return None
    if content is None:
        copy = type(request)()
        copy.CopyFrom(request)
        copy.ClearField("request_id")
        content = copy.SerializeToString(deterministic=True)
    digest = hashlib.sha256(f"{type(request).__name__}\n".encode() + content)
    return RequestKey(checked, digest.hexdigest())


def personalize_command(
    request: pb.PersonalizeRequest, user: str, defaults: PersonalizeRules
) -> PersonalizeCommand:
    """A checked PersonalizeRequest."""
    return PersonalizeCommand(
        user=user,
        query=limits.text(request.query, "query"),
        answer=limits.text(request.answer, "answer"),
        subject=limits.concept(request.subject, "subject") if request.HasField("subject") else None,
        object=limits.concept(request.object, "object") if request.HasField("object") else None,
        relations=limits.relations(request.relations, "relations"),
        answer_before=limits.text_or_empty(request.answer_before, "answer_before")
        if request.HasField("answer_before")
        else None,
        preview=request.preview,
        verify=request.verify if request.HasField("verify") else True,
        rules=_rules(request.options, defaults),
    )


def _rules(options: pb.PersonalizeOptions, defaults: PersonalizeRules) -> PersonalizeRules:
    budget = defaults.budget
    mass, triples = budget.mass, budget.triples
    if options.HasField("scored_mass"):
        mass = limits.number(options.scored_mass, "options.scored_mass", 1e-9, 1)
    if options.HasField("max_scored_triples"):
        triples = limits.whole(
            options.max_scored_triples, "options.max_scored_triples", 1, limits.MAX_SCORED_TRIPLES
        )
    if options.HasField("epsilon") and not math.isfinite(options.epsilon):
        raise InvalidRequest("options.epsilon", "is not a finite number")
    return replace(
        defaults,
        k=limits.whole(options.k, "options.k", 1, limits.MAX_K)
        if options.HasField("k")
        else defaults.k,
        epsilon=options.epsilon if options.HasField("epsilon") else defaults.epsilon,
        stopping=_chosen(_STOPPINGS, options.stopping, "options.stopping", defaults.stopping),
        removal=_chosen(_REMOVALS, options.removal, "options.removal", defaults.removal),
        relation_source=_chosen(
            _SOURCES, options.relation_source, "options.relation_source", defaults.relation_source
        ),
        budget=ScoringBudget(mass, triples),
    )


def _chosen(known: Mapping[Any, Choice], value: int, field: str, default: Choice) -> Choice:
    if value == 0:
        return default
    if value not in known:
        raise InvalidRequest(field, f"has no value {value}")
    return known[value]


def _revision(request: Message, field: str) -> int | None:
    if not request.HasField(field):
        return None
    return limits.whole(getattr(request, field), field, 0, (1 << 53) - 1)


def expected_revision(request: pb.PersonalizeRequest | pb.EditFactsRequest) -> int | None:
    return _revision(request, "expected_revision")


def at_revision(request: pb.GetNeighborhoodRequest) -> int | None:
    return _revision(request, "at_revision")


def answer_query(request: pb.AnswerRequest | pb.StreamAnswerRequest, user: str) -> AnswerQuery:
    """A checked AnswerRequest."""
    if len(request.candidates) > limits.MAX_CANDIDATES:
        raise InvalidRequest(
            "candidates", f"holds {len(request.candidates)}; at most {limits.MAX_CANDIDATES}"
        )
    return AnswerQuery(
        user=user,
        query=limits.text(request.query, "query"),
        subject=limits.concept(request.subject, "subject") if request.HasField("subject") else None,
        at_revision=_revision(request, "at_revision"),
        min_revision=_revision(request, "min_revision"),
        candidates=tuple(
            limits.text(c, f"candidates[{n}]") for n, c in enumerate(request.candidates)
        ),
        max_tokens=limits.whole(request.max_tokens, "max_tokens", 1, limits.MAX_TOKENS)
        if request.HasField("max_tokens")
        else None,
        temperature=limits.number(request.temperature, "temperature", 0, limits.MAX_TEMPERATURE)
        if request.HasField("temperature")
        else None,
        seed=request.seed if request.HasField("seed") else None,
    )


# Responses


def reply(kind: type[Sent], respond: Callable[[Outcome], Sent], field: str) -> Reply[Outcome, Sent]:
    """How a write is answered. Raises ResponseTooLarge naming the `field` that asks for so much."""
    return Reply(
        respond=lambda outcome: fitting(respond(outcome), field),
        encode=lambda response: response.SerializeToString(),
        decode=kind.FromString,
    )


def fitting(response: Sent, field: str) -> Sent:
    """`response`. Raises ResponseTooLarge when it is larger than what every client takes."""
    if (size := response.ByteSize()) > MAX_RESPONSE_BYTES:
        raise ResponseTooLarge(field, size, MAX_RESPONSE_BYTES)
    return response


def triple_message(triple: Triple) -> pb.Triple:
    return pb.Triple(head=triple.head.text, relation=triple.relation, tail=triple.tail.text)


def match_message(match: Match) -> pb.ConceptMatch:
    return pb.ConceptMatch(concept=match.concept.text, personal=match.personal)


def cost_message(cost: Cost) -> pb.Cost:
    return pb.Cost(
        forward_passes=cost.model.forward_passes,
        tokens_read=cost.model.tokens_read,
        tokens_generated=cost.model.tokens_generated,
        stages=[pb.StageTime(stage=name, duration_ms=ms) for name, ms in cost.stages_ms],
    )


def change_message(triple: Triple, p: TripleProbabilities | None) -> pb.TripleChange:
    message = pb.TripleChange(triple=triple_message(triple))
    if p is not None:
        message.retrieval_probability_before = p.retrieval_before
        message.retrieval_probability_after = p.retrieval_after
        message.reasoning_probability_before = p.reasoning
        message.reasoning_probability_after = p.reasoning
        if p.reasoning_answer_before is not None:
            message.answer_before_probability = p.reasoning_answer_before
    return message


def listed_message(edit: Edit | UnreadableEdit) -> pb.Edit:
    """A stored edit, or what is still known of it."""
    if isinstance(edit, Edit):
        return edit_message(edit)
    return pb.Edit(
        id=edit.id,
        revision=edit.revision,
        kind=pb.EDIT_KIND_UNREADABLE,
        create_time=_timestamp(edit.time_ms),
    )


def edit_message(edit: Edit) -> pb.Edit:
    """An edit, whole, or without triples and texts where these would not fit a message."""

    def changes(of: Sequence[Change]) -> list[pb.TripleChange]:
        return [change_message(c.triple, c.probabilities) for c in of]

    message = pb.Edit(
        id=edit.id,
        revision=edit.revision,
        kind=_KINDS[edit.kind],
        create_time=_timestamp(edit.time_ms),
        added=changes(edit.added),
        removed=changes(edit.removed),
        reverted_edit_id=edit.reverts or "",
    )
    if (e := edit.account) is not None:
        message.query, message.answer, message.subject, message.object = (
            e.query,
            e.answer,
            e.subject,
            e.object,
        )
        message.relations.extend(e.relations)
        message.stop_reason, message.converged = _STOP_REASONS[e.stop_reason], e.converged
        message.answer_before, message.answer_after = e.answer_before, e.answer_after
        if not math.isnan(e.loss_before):
            message.loss_before, message.loss_after = e.loss_before, e.loss_after
    return message if message.ByteSize() <= _MOST_EDIT_BYTES else _cut(message)


def _cut(edit: pb.Edit) -> pb.Edit:
    return pb.Edit(
        id=edit.id,
        revision=edit.revision,
        kind=edit.kind,
        create_time=edit.create_time,
        stop_reason=edit.stop_reason,
        converged=edit.converged,
        reverted_edit_id=edit.reverted_edit_id,
        triples_left_out=len(edit.added) + len(edit.removed),
    )


def personalize_response(
    outcome: PersonalizeOutcome, fingerprints: pb.Fingerprints
) -> pb.PersonalizeResponse:
    """The response to a Personalize. A preview's edit has no id."""
    edit = replace(outcome.edit, id="") if outcome.preview else outcome.edit
    e = outcome.account
    message = pb.PersonalizeResponse(
        edit=edit_message(edit),
        stop_reason=_STOP_REASONS[e.stop_reason],
        answer_before=e.answer_before,
        answer_after=e.answer_after,
        converged=e.converged,
        explanation=outcome.explanation,
        cost=cost_message(outcome.cost),
        fingerprints=fingerprints,
        unscored_mass_before=outcome.unscored_mass_before,
        unscored_mass_after=outcome.unscored_mass_after,
        approximate=outcome.approximate,
        considered=[change_message(triple, p) for triple, p in outcome.considered],
        subject=match_message(outcome.subject),
        alternatives=[match_message(m) for m in outcome.alternatives],
        preview=outcome.preview,
    )
    if not math.isnan(e.loss_before):
        message.loss_before, message.loss_after = e.loss_before, e.loss_after
        message.answer_logprob_before = outcome.answer_logprob_before
        message.answer_logprob_after = outcome.answer_logprob_after
    return message


def fact_message(fact: RetrievedFact) -> pb.Fact:
    return pb.Fact(
        triple=triple_message(fact.viewed.triple),
        retrieval_probability=fact.retrieval_probability,
        origin=_ORIGINS[fact.viewed.origin],
    )


def answer_response(answer: Answer, fingerprints: pb.Fingerprints) -> pb.AnswerResponse:
    evidence = answer.evidence
    return pb.AnswerResponse(
        text=answer.text,
        subject=match_message(evidence.subject),
        alternatives=[match_message(m) for m in evidence.alternatives],
        facts=[fact_message(f) for f in evidence.facts],
        candidates=[pb.Candidate(text=t, logprob=lp) for t, lp in evidence.candidates],
        revision=evidence.revision,
        cost=cost_message(answer.cost),
        fingerprints=fingerprints,
    )


def evidence_message(evidence: Evidence, fingerprints: pb.Fingerprints) -> pb.StreamAnswerResponse:
    return pb.StreamAnswerResponse(
        evidence=pb.StreamAnswerResponse.Evidence(
            subject=match_message(evidence.subject),
            alternatives=[match_message(m) for m in evidence.alternatives],
            facts=[fact_message(f) for f in evidence.facts],
            candidates=[pb.Candidate(text=t, logprob=lp) for t, lp in evidence.candidates],
            revision=evidence.revision,
            fingerprints=fingerprints,
        )
    )


def viewed_message(viewed: ViewedTriple) -> pb.ViewedTriple:
    return pb.ViewedTriple(
        triple=triple_message(viewed.triple),
        origin=_ORIGINS[viewed.origin],
        weight=viewed.weight,
        dataset=viewed.dataset,
        license=viewed.license,
        revision=viewed.stamp.revision if viewed.stamp else None,
    )


def personal_fact_message(fact: PersonalFact) -> pb.PersonalFact:
    return pb.PersonalFact(
        triple=triple_message(fact.triple),
        origin=_ORIGINS[fact.mark.origin],
        revision=fact.mark.stamp.revision,
        edit_id=fact.edit_id,
        create_time=_timestamp(fact.time_ms),
    )


def revert_response(reverted: Reverted) -> pb.RevertEditResponse:
    return pb.RevertEditResponse(
        edit=edit_message(reverted.edit),
        skipped=[
            pb.SkippedTriple(triple=triple_message(s.triple), edit_ids=s.edit_ids[:MOST_NAMED])
            for s in reverted.skipped
        ],
    )


def import_response(imported: Imported) -> pb.ImportOverlayResponse:
    return pb.ImportOverlayResponse(
        imported_edits=imported.exported_edits,
        revision=imported.revision,
        edit=edit_message(imported.merged) if imported.merged else None,
        merged_edit_ids=[edit.id for edit in imported.merged_edits],
    )


def line_messages(line: str) -> Iterator[pb.ExportOverlayResponse]:
    """A line of an export in messages that every client takes: nearly always one."""
    last = (len(line) - 1) // _PIECE_CHARACTERS * _PIECE_CHARACTERS
    for start in range(0, last, _PIECE_CHARACTERS):
        yield pb.ExportOverlayResponse(line=line[start : start + _PIECE_CHARACTERS], continued=True)
    yield pb.ExportOverlayResponse(line=line[last:])


def erase_response(erased: Erased) -> pb.EraseUserResponse:
    return pb.EraseUserResponse(
        edits=erased.edits,
        added_triples=erased.added_triples,
        removed_triples=erased.removed_triples,
        personal_concepts=erased.personal_concepts,
        stored_responses=erased.stored_responses,
    )


def _timestamp(time_ms: int) -> Timestamp:
    """A moment; the last one that can be shown for those beyond, which earlier versions let imports
    bring in."""
    time_ms = min(time_ms, MAX_TIME_MS)
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)
