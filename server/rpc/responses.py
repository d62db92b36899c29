"""From values to a response's message."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from kgt.v1 import personalization_pb2 as pb
from server.graph.checks import MAX_TIME_MS
from server.graph.edit import Account, Change, Edit, TripleProbabilities, UnreadableEdit
from server.graph.neighborhood import ViewedTriple
from server.graph.triple import Triple
from server.rpc.enums import DOUBTS, EDIT_KINDS, FATES, ORIGINS, STOP_REASONS
from server.rpc.errors import ResponseTooLarge
from server.rpc.limits import MAX_RESPONSE_BYTES
from server.tuning.answer import Answer, Evidence, RetrievedFact
from server.tuning.cost import Cost
from server.tuning.history import EditFactsOutcome, Reverted
from server.tuning.learn.outcome import Found, LearnOutcome
from server.tuning.personalize.outcome import PersonalizeOutcome
from server.tuning.ports import Erased, PersonalFact
from server.tuning.retrieve import Retrieved, WordedFact
from server.tuning.subject.choice import Match
from server.tuning.transfer import Imported

Sent = TypeVar("Sent", bound=Message)

_MOST_EDIT_BYTES = 3 << 20
"""For an edit's message. What stands next to it in a response has the rest of
MAX_RESPONSE_BYTES."""
_PIECE_CHARACTERS = MAX_RESPONSE_BYTES // 4 - 64
"""For a line of an export. A character takes up to four bytes."""
MOST_NAMED = 20
"""Edits named for each triple that a revert left out."""


def fitting(response: Sent, field: str) -> Sent:
    """`response`. Raises ResponseTooLarge if not every client would take so large a message.

    `field` is the field of the request that asks for so much.
    """
    if (size := response.ByteSize()) > MAX_RESPONSE_BYTES:
        raise ResponseTooLarge(field, size, MAX_RESPONSE_BYTES)
    return response


# RPC by RPC


def personalize_response(
    outcome: PersonalizeOutcome, fingerprints: pb.Fingerprints
) -> pb.PersonalizeResponse:
    """The response to a Personalize. A preview's edit has no id."""
    edit = replace(outcome.edit, id="") if outcome.preview else outcome.edit
    account = outcome.account
    message = pb.PersonalizeResponse(
        edit=edit_message(edit),
        stop_reason=STOP_REASONS[account.stop_reason],
        answer_before=account.answer_before,
        answer_after=account.answer_after,
        converged=account.converged,
        explanation=outcome.explanation,
        cost=cost_message(outcome.cost),
        fingerprints=fingerprints,
        unscored_mass_before=outcome.unscored_mass_before,
        unscored_mass_after=outcome.unscored_mass_after,
        approximate=outcome.approximate,
        considered=[_change(triple, p) for triple, p in outcome.considered],
        subject=_match(outcome.subject),
        alternatives=[_match(m) for m in outcome.alternatives],
        preview=outcome.preview,
    )
    if not math.isnan(account.loss_before):
        message.loss_before = account.loss_before
        message.loss_after = account.loss_after
        message.answer_logprob_before = outcome.answer_logprob_before
        message.answer_logprob_after = outcome.answer_logprob_after
    return fitting(message, "query")


def learn_response(outcome: LearnOutcome, fingerprints: pb.Fingerprints) -> pb.LearnResponse:
    """The response to a Learn. A preview's edit has no id."""
    edit = replace(outcome.edit, id="") if outcome.preview else outcome.edit
    message = pb.LearnResponse(
        edit=edit_message(edit),
        facts=[_found(found) for found in outcome.found],
        not_understood=[
            pb.NotUnderstood(line=one.line, doubt=DOUBTS[one.doubt], source=one.source)
            for one in outcome.not_understood
        ],
        cost=cost_message(outcome.cost),
        fingerprints=fingerprints,
        preview=outcome.preview,
    )
    return fitting(message, "text")


def _found(found: Found) -> pb.FoundFact:
    message = pb.FoundFact(
        triple=triple_message(found.triple),
        words=found.words,
        fate=FATES[found.fate],
        source=found.source,
        removed=[triple_message(triple) for triple in found.removed],
        query=found.query,
        answer=found.answer,
    )
    if not math.isnan(found.probability_before):
        message.probability_before = found.probability_before
        message.probability_after = found.probability_after
    return message


def answer_response(answer: Answer, fingerprints: pb.Fingerprints) -> pb.AnswerResponse:
    evidence = answer.evidence
    message = pb.AnswerResponse(
        text=answer.text,
        subject=_match(evidence.subject),
        alternatives=[_match(m) for m in evidence.alternatives],
        facts=[_fact(f) for f in evidence.facts],
        candidates=_candidates(evidence),
        revision=evidence.revision,
        cost=cost_message(answer.cost),
        fingerprints=fingerprints,
    )
    return fitting(message, "candidates")


def evidence_response(evidence: Evidence, fingerprints: pb.Fingerprints) -> pb.StreamAnswerResponse:
    """The first message of a streamed answer."""
    message = pb.StreamAnswerResponse.Evidence(
        subject=_match(evidence.subject),
        alternatives=[_match(m) for m in evidence.alternatives],
        facts=[_fact(f) for f in evidence.facts],
        candidates=_candidates(evidence),
        revision=evidence.revision,
        fingerprints=fingerprints,
    )
    return fitting(pb.StreamAnswerResponse(evidence=message), "candidates")


def totals_response(cost: Cost) -> pb.StreamAnswerResponse:
    """The last message of a streamed answer."""
    totals = pb.StreamAnswerResponse.Totals(cost=cost_message(cost))
    return pb.StreamAnswerResponse(totals=totals)


def retrieve_response(retrieved: Retrieved, fingerprints: pb.Fingerprints) -> pb.RetrieveResponse:
    message = pb.RetrieveResponse(
        facts=[_worded_fact(f) for f in retrieved.facts],
        context=retrieved.context,
        subject=_match(retrieved.subject),
        alternatives=[_match(m) for m in retrieved.alternatives],
        revision=retrieved.revision,
        cost=cost_message(retrieved.cost),
        fingerprints=fingerprints,
    )
    return fitting(message, "max_facts")


def edit_facts_response(outcome: EditFactsOutcome) -> pb.EditFactsResponse:
    return fitting(pb.EditFactsResponse(edit=edit_message(outcome.edit)), "add")


def revert_response(reverted: Reverted) -> pb.RevertEditResponse:
    skipped = [
        pb.SkippedTriple(triple=triple_message(s.triple), edit_ids=s.edit_ids[:MOST_NAMED])
        for s in reverted.skipped
    ]
    message = pb.RevertEditResponse(edit=edit_message(reverted.edit), skipped=skipped)
    return fitting(message, "edit_id")


def export_responses(line: str) -> Iterator[pb.ExportOverlayResponse]:
    """A line of an export in messages that every client takes: nearly always one."""
    last = (len(line) - 1) // _PIECE_CHARACTERS * _PIECE_CHARACTERS
    for start in range(0, last, _PIECE_CHARACTERS):
        yield pb.ExportOverlayResponse(line=line[start : start + _PIECE_CHARACTERS], continued=True)
    yield pb.ExportOverlayResponse(line=line[last:])


def import_response(imported: Imported) -> pb.ImportOverlayResponse:
    message = pb.ImportOverlayResponse(
        imported_edits=imported.exported_edits,
        revision=imported.revision,
        edit=edit_message(imported.merged) if imported.merged else None,
        merged_edit_ids=[edit.id for edit in imported.merged_edits],
    )
    return fitting(message, "lines")


def erase_response(erased: Erased) -> pb.EraseUserResponse:
    return pb.EraseUserResponse(
        edits=erased.edits,
        added_triples=erased.added_triples,
        removed_triples=erased.removed_triples,
        personal_concepts=erased.personal_concepts,
        stored_responses=erased.stored_responses,
    )


# An edit


def edit_message(edit: Edit | UnreadableEdit) -> pb.Edit:
    """A stored edit, without triples and texts where these would not fit a message.

    For an edit that cannot be read: what is still known of it.
    """
    if isinstance(edit, UnreadableEdit):
        return pb.Edit(
            id=edit.id,
            revision=edit.revision,
            kind=pb.EDIT_KIND_UNREADABLE,
            create_time=_timestamp(edit.time_ms),
        )
    message = pb.Edit(
        id=edit.id,
        revision=edit.revision,
        kind=EDIT_KINDS[edit.kind],
        create_time=_timestamp(edit.time_ms),
        added=_changes(edit.added),
        removed=_changes(edit.removed),
        reverted_edit_id=edit.reverts or "",
        message=edit.message,
    )
    if edit.account is not None:
        _add_account(message, edit.account)
    return message if message.ByteSize() <= _MOST_EDIT_BYTES else _cut(message)


def _add_account(message: pb.Edit, account: Account) -> None:
    message.query = account.query
    message.answer = account.answer
    message.subject = account.subject
    message.object = account.object
    message.relations.extend(account.relations)
    message.stop_reason = STOP_REASONS[account.stop_reason]
    message.converged = account.converged
    message.answer_before = account.answer_before
    message.answer_after = account.answer_after
    if not math.isnan(account.loss_before):
        message.loss_before = account.loss_before
        message.loss_after = account.loss_after


def _cut(edit: pb.Edit) -> pb.Edit:
    """What fits any message."""
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


def _changes(changes: Sequence[Change]) -> list[pb.TripleChange]:
    return [_change(change.triple, change.probabilities) for change in changes]


def _change(triple: Triple, p: TripleProbabilities | None) -> pb.TripleChange:
    message = pb.TripleChange(triple=triple_message(triple))
    if p is not None:
        message.retrieval_probability_before = p.retrieval_before
        message.retrieval_probability_after = p.retrieval_after
        message.reasoning_probability_before = p.reasoning
        message.reasoning_probability_after = p.reasoning
        if p.reasoning_answer_before is not None:
            message.answer_before_probability = p.reasoning_answer_before
    return message


# The parts of other messages


def triple_message(triple: Triple) -> pb.Triple:
    return pb.Triple(head=triple.head.text, relation=triple.relation, tail=triple.tail.text)


def cost_message(cost: Cost) -> pb.Cost:
    return pb.Cost(
        forward_passes=cost.model.forward_passes,
        tokens_read=cost.model.tokens_read,
        tokens_generated=cost.model.tokens_generated,
        tokens_drafted=cost.model.tokens_drafted,
        tokens_accepted=cost.model.tokens_accepted,
        stages=[pb.StageTime(stage=name, duration_ms=ms) for name, ms in cost.stages_ms],
    )


def viewed_message(viewed: ViewedTriple) -> pb.ViewedTriple:
    return pb.ViewedTriple(
        triple=triple_message(viewed.triple),
        origin=ORIGINS[viewed.origin],
        weight=viewed.weight,
        dataset=viewed.dataset,
        license=viewed.license,
        revision=viewed.stamp.revision if viewed.stamp else None,
    )


def personal_fact_message(fact: PersonalFact) -> pb.PersonalFact:
    return pb.PersonalFact(
        triple=triple_message(fact.triple),
        origin=ORIGINS[fact.mark.origin],
        revision=fact.mark.stamp.revision,
        edit_id=fact.edit_id,
        create_time=_timestamp(fact.time_ms),
    )


def _fact(fact: RetrievedFact) -> pb.Fact:
    return pb.Fact(
        triple=triple_message(fact.viewed.triple),
        retrieval_probability=fact.retrieval_probability,
        origin=ORIGINS[fact.viewed.origin],
    )


def _worded_fact(fact: WordedFact) -> pb.RetrievedFact:
    stamp = fact.viewed.stamp
    return pb.RetrievedFact(
        triple=triple_message(fact.viewed.triple),
        words=fact.words,
        retrieval_probability=fact.retrieval_probability,
        origin=ORIGINS[fact.viewed.origin],
        edit_id=fact.edit_id,
        revision=stamp.revision if stamp else None,
    )


def _candidates(evidence: Evidence) -> list[pb.Candidate]:
    return [pb.Candidate(text=text, logprob=logprob) for text, logprob in evidence.candidates]


def _match(match: Match) -> pb.ConceptMatch:
    return pb.ConceptMatch(concept=match.concept.text, personal=match.personal)


def _timestamp(time_ms: int) -> Timestamp:
    """A moment, no later than the last one that can be shown.

    Earlier versions let imports bring in later ones.
    """
    time_ms = min(time_ms, MAX_TIME_MS)
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)
