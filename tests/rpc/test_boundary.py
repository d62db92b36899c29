"""What happens around every call: statuses, deadlines, cancellation, queues, health, the log."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from kgt.errors import (
    Aborted,
    DataLoss,
    DeadlineExceeded,
    ResourceExhausted,
    ServerFailure,
    Unavailable,
)
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server import errors
from server.lm.pace import Overloaded
from server.rpc.statuses import STATUS_OF, status_of
from server.tuning.ports import Branch, Scores
from server.tuning.ticket import Need, Ticket, call_ticket
from tests.rpc.raw import until
from tests.rpc.running import ENJOY, Running


async def raw_error(service: Running, request: pb.AnswerRequest) -> grpc.aio.AioRpcError:
    async with grpc.aio.insecure_channel(service.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await pb_grpc.PersonalizationServiceStub(channel).Answer(request, timeout=5)
    return failed.value


async def test_an_error_carries_error_info_and_the_field(service: Running) -> None:
    error = await raw_error(service, pb.AnswerRequest(user="alice"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing: dict[str, Any] = dict(cast(Any, error.trailing_metadata()))
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert (info.reason, info.domain) == ("INVALID_FIELD", "kgt")
    assert [v.field for v in bad.field_violations] == ["query"]


@pytest.mark.parametrize(
    ("raised", "expected", "reason"),
    [
        (errors.StoreBusy("locked", 0.01), Unavailable, "STORE_BUSY"),
        (errors.StoreFull("full", 0.01), Unavailable, "STORE_FULL"),
        (errors.ModelBusy("busy"), ResourceExhausted, "MODEL_BUSY"),
        (Overloaded(2.5), ResourceExhausted, "OVERLOADED"),
        (errors.ShuttingDown("bye", 0.01), Unavailable, "SHUTTING_DOWN"),
        (errors.DataLoss("damaged"), DataLoss, "STORE_CORRUPT"),
        (errors.OverlayErased(), Aborted, "OVERLAY_ERASED"),
        (errors.RevisionMoved(1, 2), Aborted, "REVISION_MOVED"),
        (errors.DeadlinePassed("late", None), DeadlineExceeded, "DEADLINE_PASSED"),
        (ValueError("alice's secret"), ServerFailure, "INTERNAL"),
    ],
)
async def test_what_fails_inside_becomes_its_status_once(
    service: Running, raised: Exception, expected: type[Exception], reason: str
) -> None:
    async def failing(*_: object) -> None:
        raise raised

    service.store.neighborhood = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(expected) as failed:
        await service.client.within(3).answer(user="alice", query=ENJOY)
    assert getattr(failed.value, "reason", None) == reason
    assert "secret" not in str(failed.value)
    assert "Traceback" not in str(failed.value)


def all_of(kind: type[errors.KgtError]) -> set[type[errors.KgtError]]:
    return {kind}.union(*(all_of(sub) for sub in kind.__subclasses__()))


def test_the_tree_names_every_error() -> None:
    drawn = str(errors.__doc__)
    here = {k.__name__ for k in all_of(errors.KgtError) if k.__module__.startswith("server.")}
    assert here <= set(re.findall(r"\w+", drawn))


def test_every_error_has_a_status() -> None:
    assert errors.KgtError in STATUS_OF
    served = {kind for kind in all_of(errors.KgtError) if not issubclass(kind, errors.StartupError)}
    internal = {k for k in served if status_of(k.__new__(k)) is grpc.StatusCode.INTERNAL}
    assert {k.__name__ for k in internal} == {"KgtError", "Internal"}
    reasons = [k.reason for k in served if k not in internal and not k.__subclasses__()]
    assert len(reasons) == len(set(reasons)), "each reason tells one error"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (
            errors.RevertBlocked(["e" * 64 + str(n) for n in range(1000)]),
            grpc.StatusCode.FAILED_PRECONDITION,
        ),
        (errors.InvalidRequest("f" * 50_000, "犬" * 50_000), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.DataLoss("犬" * 50_000), grpc.StatusCode.DATA_LOSS),
        (errors.UnreadableRecord("犬" * 50_000, 7), grpc.StatusCode.DATA_LOSS),
        (errors.StoreBusy("x" * 50_000, 0.01), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_no_error_is_too_large_for_a_trailer(
    service: Running, raised: Exception, code: grpc.StatusCode
) -> None:
    async def failing(*_: object) -> None:
        raise raised

    service.store.neighborhood = failing  # type: ignore[method-assign, assignment]
    error = await raw_error(service, pb.AnswerRequest(user="alice", query=ENJOY))
    assert error.code() is code
    assert len(str(error.details())) <= 1024
    trailing: dict[str, Any] = dict(cast(Any, error.trailing_metadata()))
    assert len(str(error.details())) + len(trailing["grpc-status-details-bin"]) * 4 / 3 < 6 << 10
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == getattr(raised, "reason")  # noqa: B009
    assert all(len(value) <= 1024 for value in info.metadata.values())


async def test_waiting_is_advised_where_it_helps(service: Running) -> None:
    async def failing(*_: object) -> None:
        raise errors.StoreBusy("locked", retry_after_s=0.01)

    service.store.neighborhood = failing  # type: ignore[method-assign, assignment]
    error = await raw_error(service, pb.AnswerRequest(user="alice", query=ENJOY))
    trailing: dict[str, Any] = dict(cast(Any, error.trailing_metadata()))
    assert trailing["grpc-retry-pushback-ms"] == "10"
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert any(d.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for d in status.details)


async def test_overload_is_told_with_a_time_to_come_back(service: Running) -> None:
    async def failing(*_: object) -> None:
        raise Overloaded(2.5)

    service.model.score = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(ResourceExhausted) as failed:
        await service.client.within(3).answer(user="alice", query=ENJOY)
    assert (failed.value.reason, failed.value.retry_after_s) == ("OVERLOADED", 2.5)


async def test_all_work_of_a_call_has_one_ticket_and_knows_what_the_call_before_needed(
    service: Running,
) -> None:
    tickets: list[Ticket | None] = []
    real = service.model.score

    async def noting(branches: Sequence[Branch]) -> Scores:
        tickets.append(call_ticket.get())
        scores = await real(branches)
        ticket = tickets[-1]
        assert ticket is not None
        ticket.began, ticket.ended = ticket.began or time.monotonic(), time.monotonic()
        ticket.tokens_read += scores.cost.tokens_read
        return scores

    service.model.score = noting  # type: ignore[method-assign]
    for user in ("alice", "bob"):
        await service.client.personalize(user=user, query=ENJOY, answer="fish")
    first, second = dict.fromkeys(tickets)
    assert len(tickets) > 2
    assert first is not None
    assert second is not None
    assert first.expected == Need()
    assert second.expected.tokens == first.tokens_read > 0


async def test_the_client_retries_what_is_unavailable(service: Running) -> None:
    real, failures = service.store.neighborhood, 0

    async def flaky(*arguments: object) -> object:
        nonlocal failures
        if failures < 2:
            failures += 1
            raise errors.StoreBusy("locked", retry_after_s=0.01)
        return await real(*arguments)  # type: ignore[arg-type]

    service.store.neighborhood = flaky  # type: ignore[method-assign, assignment]
    assert (await service.client.answer(user="alice", query=ENJOY)).text == "meat"
    assert failures == 2


async def test_a_passed_deadline_drops_the_work_unscored(service: Running) -> None:
    service.model.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await service.client.within(0.2).personalize(user="alice", query=ENJOY, answer="fish")
    service.model.gate.set()
    await until(lambda: not service.model.scored)
    assert (await service.client.list_edits(user="alice")).revision == 0
    assert service.model.scored == []


async def test_a_caller_who_leaves_before_the_commit_changes_nothing(service: Running) -> None:
    service.model.gate.clear()
    call = asyncio.ensure_future(
        service.client.personalize(user="alice", query=ENJOY, answer="fish")
    )
    await asyncio.sleep(0)
    await until(lambda: "alice" in service_turns(service))
    call.cancel()
    await until(lambda: "alice" not in service_turns(service))
    service.model.gate.set()
    assert (await service.client.list_edits(user="alice")).revision == 0


async def test_a_caller_who_leaves_during_the_commit_does_not_cut_it(service: Running) -> None:
    entered, go_on, real = asyncio.Event(), asyncio.Event(), service.store.commit

    async def slow(*arguments: object) -> None:
        entered.set()
        await go_on.wait()
        await real(*arguments)  # type: ignore[arg-type]

    service.store.commit = slow  # type: ignore[method-assign, assignment]
    arguments: dict[str, Any] = {
        "user": "alice",
        "query": ENJOY,
        "answer": "fish",
        "request_id": "r-1",
    }
    call = asyncio.ensure_future(service.client.personalize(**arguments))
    await entered.wait()
    call.cancel()
    go_on.set()
    response = await service.client.personalize(**arguments)
    assert response.edit.revision == 1, "the repeated request finds what the first committed"
    assert (await service.client.list_edits(user="alice")).revision == 1


async def test_one_users_writes_queue_and_others_do_not_wait(service: Running) -> None:
    results = await asyncio.gather(
        *(
            service.client.edit_facts(user="alice", add=[("dog", "has a", f"toy {n}")])
            for n in range(20)
        ),
        *(
            service.client.edit_facts(user=f"user {n}", add=[("dog", "has a", "toy")])
            for n in range(20)
        ),
    )
    assert sorted(r.edit.revision for r in results[:20]) == list(range(1, 21))
    assert {r.edit.revision for r in results[20:]} == {1}


async def test_health_follows_the_probes(service: Running) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        async def status(name: str) -> int:
            return int((await stub.Check(health_pb2.HealthCheckRequest(service=name))).status)

        for name in ("", "kgt.v1.PersonalizationService"):
            assert await status(name) == health_pb2.HealthCheckResponse.SERVING
        await service.probes.set(serving=False)
        assert await status("") == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_stranger_finds_the_contract_by_reflection(service: Running) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(
                file_containing_symbol="kgt.v1.PersonalizationService"
            ),
        ]
        replies = [reply async for reply in stub.ServerReflectionInfo(iter(requests))]
    listed = {s.name for s in replies[0].list_services_response.service}
    assert {"kgt.v1.PersonalizationService", "grpc.health.v1.Health"} <= listed
    assert b"personalization.proto" in replies[1].file_descriptor_response.file_descriptor_proto[0]


async def test_the_log_has_methods_and_statuses_and_never_what_users_wrote(
    service: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def failing(*_: object) -> None:
        raise ValueError("secret caviar")

    await service.client.personalize(
        user="secret-user", query="What does a secret dog enjoy?", answer="secret caviar"
    )
    await service.client.edit_facts(
        user="secret-user", add=[("secret", "secret relation", "secret")]
    )
    with pytest.raises(Exception, match="user"):
        await service.client.answer(user="secret" * 40, query="secret?")
    service.store.neighborhood = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(ServerFailure):
        await service.client.answer(user="secret-user", query="What does a secret dog enjoy?")
    logged = caplog.text
    assert "Personalize OK" in logged
    assert "Answer INVALID_ARGUMENT INVALID_FIELD" in logged
    assert "ValueError at" in logged
    assert "test_boundary.py" in logged
    assert "secret" not in logged


def service_turns(service: Running) -> dict[str, Any]:
    return dict(service.writes._turns._locks)
