"""From a request's message to a command, checked. Every refusal names the field."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from kgt.v1 import personalization_pb2 as pb
from server.errors import InvalidRequest
from server.graph.relation import Vocabulary
from server.rpc import limits
from server.rpc.enums import RELATION_SOURCES, REMOVALS, STOPPINGS
from server.tuning.answer import AnswerQuery
from server.tuning.history import EditFactsCommand, RevertCommand
from server.tuning.learn.command import LearnCommand
from server.tuning.personalize.command import PersonalizeCommand, PersonalizeRules
from server.tuning.retrieve import RetrieveQuery
from server.tuning.scoring import ScoringBudget
from server.writing.writes import Kept, RequestKey

Choice = TypeVar("Choice")
Response = TypeVar("Response", bound=Message)

_MOST_REVISION = (1 << 53) - 1
"""The largest that a number holds exactly in every language."""


class WriteRequest(Protocol):
    """The message of any write."""

    request_id: str


# What every write has


def kept(
    request: WriteRequest, response: type[Response], content: bytes | None = None
) -> Kept[Response] | None:
    """How the response to a write is kept; None where the request has no id.

    `content` distinguishes the request from others with this id. By default, it is all its fields.
    """
    request_id = limits.request_id(request.request_id)
    if request_id is None:
        return None
    content = _content(request) if content is None else content
    digest = hashlib.sha256(f"{type(request).__name__}\n".encode() + content)
    return Kept(
        RequestKey(request_id, digest.hexdigest()),
        encode=lambda message: message.SerializeToString(),
        decode=response.FromString,
    )


def _content(request: Any) -> bytes:
    copy = type(request)()
    copy.CopyFrom(request)
    copy.ClearField("request_id")
    return bytes(copy.SerializeToString(deterministic=True))


def kept_import(
    first: pb.ImportOverlayRequest, lines_sha256: bytes
) -> Kept[pb.ImportOverlayResponse] | None:
    """How the response to an import is kept, however its lines were split into messages."""
    content = hashlib.sha256(f"{first.merge}\n".encode() + lines_sha256).digest()
    return kept(first, pb.ImportOverlayResponse, content)


def expected_revision(
    request: pb.PersonalizeRequest | pb.LearnRequest | pb.EditFactsRequest,
) -> int | None:
    """The revision that the caller wants to write on."""
    return _revision(request, "expected_revision")


# RPC by RPC


def personalize_command(
    request: pb.PersonalizeRequest, user: str, defaults: PersonalizeRules, text_bytes: int
) -> PersonalizeCommand:
    """A checked PersonalizeRequest."""
    answer_before = None
    if request.HasField("answer_before"):
        answer_before = limits.text_or_empty(request.answer_before, "answer_before", text_bytes)
    return PersonalizeCommand(
        user=user,
        query=limits.text(request.query, "query", text_bytes),
        answer=limits.text(request.answer, "answer", text_bytes),
        subject=_concept(request, "subject"),
        object=_concept(request, "object"),
        relations=limits.relations(request.relations, "relations"),
        answer_before=answer_before,
        preview=request.preview,
        verify=request.verify if request.HasField("verify") else True,
        rules=_rules(request.options, defaults),
    )


def _rules(options: pb.PersonalizeOptions, defaults: PersonalizeRules) -> PersonalizeRules:
    if options.HasField("epsilon") and not math.isfinite(options.epsilon):
        raise InvalidRequest("options.epsilon", "is not a finite number")
    return replace(
        defaults,
        k=limits.whole(options.k, "options.k", 1, limits.MAX_K)
        if options.HasField("k")
        else defaults.k,
        epsilon=options.epsilon if options.HasField("epsilon") else defaults.epsilon,
        stopping=_chosen(STOPPINGS, options.stopping, "options.stopping", defaults.stopping),
        removal=_chosen(REMOVALS, options.removal, "options.removal", defaults.removal),
        relation_source=_chosen(
            RELATION_SOURCES,
            options.relation_source,
            "options.relation_source",
            defaults.relation_source,
        ),
        budget=_budget(options, defaults.budget),
    )


def _budget(options: pb.PersonalizeOptions, defaults: ScoringBudget) -> ScoringBudget:
    mass, triples = defaults.mass, defaults.triples
    if options.HasField("scored_mass"):
        mass = limits.number(options.scored_mass, "options.scored_mass", 1e-9, 1)
    if options.HasField("max_scored_triples"):
        triples = limits.whole(
            options.max_scored_triples, "options.max_scored_triples", 1, limits.MAX_SCORED_TRIPLES
        )
    return ScoringBudget(mass, triples)


def _chosen(known: Mapping[int, Choice], number: int, field: str, default: Choice) -> Choice:
    if number == 0:
        return default
    if number not in known:
        raise InvalidRequest(field, f"has no value {number}")
    return known[number]


def learn_command(request: pb.LearnRequest, user: str, text_bytes: int) -> LearnCommand:
    """A checked LearnRequest."""
    limit_bytes = min(limits.MAX_MESSAGE_TEXT_BYTES, text_bytes)
    context = ""
    if request.context.strip():
        context = limits.text(request.context, "context", limit_bytes)
    return LearnCommand(
        user=user,
        text=limits.text(request.text, "text", limit_bytes),
        context=context,
        preview=request.preview,
    )


def answer_query(
    request: pb.AnswerRequest | pb.StreamAnswerRequest, user: str, text_bytes: int
) -> AnswerQuery:
    """A checked AnswerRequest."""
    if (count := len(request.candidates)) > limits.MAX_CANDIDATES:
        raise InvalidRequest("candidates", f"holds {count}; at most {limits.MAX_CANDIDATES}")
    max_tokens = temperature = None
    if request.HasField("max_tokens"):
        max_tokens = limits.whole(request.max_tokens, "max_tokens", 1, limits.MAX_TOKENS)
    if request.HasField("temperature"):
        temperature = limits.number(request.temperature, "temperature", 0, limits.MAX_TEMPERATURE)
    return AnswerQuery(
        user=user,
        query=limits.text(request.query, "query", text_bytes),
        subject=_concept(request, "subject"),
        at_revision=_revision(request, "at_revision"),
        min_revision=_revision(request, "min_revision"),
        candidates=tuple(
            limits.text(text, f"candidates[{n}]", text_bytes)
            for n, text in enumerate(request.candidates)
        ),
        max_tokens=max_tokens,
        temperature=temperature,
        seed=request.seed if request.HasField("seed") else None,
    )


def retrieve_query(request: pb.RetrieveRequest, user: str, text_bytes: int) -> RetrieveQuery:
    """A checked RetrieveRequest."""
    max_facts = None
    if request.HasField("max_facts"):
        max_facts = limits.whole(request.max_facts, "max_facts", 1, limits.MAX_FACTS)
    return RetrieveQuery(
        user=user,
        query=limits.text(request.query, "query", text_bytes),
        subject=_concept(request, "subject"),
        at_revision=_revision(request, "at_revision"),
        min_revision=_revision(request, "min_revision"),
        max_facts=max_facts,
    )


def at_revision(request: pb.GetNeighborhoodRequest) -> int | None:
    """The revision to read at; None for the latest."""
    return _revision(request, "at_revision")


def edit_facts_command(
    request: pb.EditFactsRequest, user: str, vocabulary: Vocabulary
) -> EditFactsCommand:
    """A checked EditFactsRequest."""
    if not 1 <= len(request.add) + len(request.remove) <= limits.MAX_TRIPLES:
        raise InvalidRequest(
            "add", f"add and remove hold 1 to {limits.MAX_TRIPLES} triples together"
        )
    return EditFactsCommand.of(
        user,
        vocabulary,
        add=limits.triples(request.add, "add", vocabulary),
        remove=limits.triples(request.remove, "remove", vocabulary),
    )


def revert_command(request: pb.RevertEditRequest, user: str) -> RevertCommand:
    """A checked RevertEditRequest."""
    return RevertCommand(user, limits.edit_id(request.edit_id), request.skip_conflicts)


def _concept(request: Message, field: str) -> str | None:
    return limits.concept(getattr(request, field), field) if request.HasField(field) else None


def _revision(request: Message, field: str) -> int | None:
    if not request.HasField(field):
        return None
    return limits.whole(getattr(request, field), field, 0, _MOST_REVISION)
