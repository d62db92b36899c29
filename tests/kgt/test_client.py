"""Both clients over a real channel: deadlines, request ids, retries and typed errors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from kgt import errors, requests
from kgt.client import DEFAULT_TIMEOUT_S, AsyncClient, Client, whole_lines
from kgt.v1 import personalization_pb2 as pb
from tests.kgt.scripted_server import RPCS, Script, scripted_server, snake_case
from tests.rpc.running import ENJOY, FEED, Running, running

ROOT = Path(__file__).parent.parent.parent
ARGUMENTS: dict[str, dict[str, Any]] = {
    "personalize": {"query": ENJOY, "answer": "fish"},
    "learn": {"text": "I like jazz."},
    "answer": {"query": ENJOY},
    "stream_answer": {"query": ENJOY},
    "retrieve": {"query": ENJOY},
    "get_neighborhood": {"concept": "dog"},
    "list_facts": {},
    "edit_facts": {"add": [("dog", "likes", "fish")]},
    "list_edits": {},
    "revert_edit": {"edit_id": "e"},
    "export_overlay": {},
    "import_overlay": {"lines": ["{}"]},
    "erase_user": {},
}
WRITES = [snake_case(rpc.name) for rpc in RPCS if "request_id" in rpc.input_type.fields_by_name]
READS = [name for name in ARGUMENTS if name not in WRITES]
STREAMS = [snake_case(rpc.name) for rpc in RPCS if rpc.server_streaming]
MOST_ATTEMPTS = 4
SHORT_S = 20.0
ROUNDED_S = 1.0
"""gRPC sends a deadline rounded up."""


class Asker:
    """Either client, called in the same way. A stream is returned as the list of its messages."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    def within(self, timeout_s: float) -> Asker:
        return Asker(self.client.within(timeout_s))

    async def call(self, name: str, **arguments: Any) -> Any:
        method, arguments = (
            getattr(self.client, name),
            {"user": "alice", **ARGUMENTS[name], **arguments},
        )
        if isinstance(self.client, AsyncClient):
            called = method(**arguments)
            return [m async for m in called] if name in STREAMS else await called
        return await asyncio.to_thread(
            lambda: list(method(**arguments)) if name in STREAMS else method(**arguments)
        )

    async def close(self) -> None:
        closed = self.client.close()
        if closed is not None:
            await closed


@pytest.fixture(params=[Client, AsyncClient])
def kind(request: pytest.FixtureRequest) -> type[Client] | type[AsyncClient]:
    chosen: type[Client] | type[AsyncClient] = request.param
    return chosen


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def address(script: Script) -> Iterator[str]:
    with scripted_server(script) as address:
        yield address


@pytest.fixture
async def asker(kind: type[Client] | type[AsyncClient], address: str) -> AsyncIterator[Asker]:
    asker = Asker(kind(address))
    yield asker
    await asker.close()


# Names


def test_every_rpc_is_a_method_in_snake_case_and_there_are_no_others(kind: type) -> None:
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert public - {"within", "close"} == {snake_case(rpc.name) for rpc in RPCS}


async def test_each_method_calls_its_rpc_and_returns_its_message(
    asker: Asker, script: Script
) -> None:
    for rpc in RPCS:
        answered = await asker.call(snake_case(rpc.name))
        messages = answered if rpc.server_streaming else [answered]
        assert messages == [getattr(pb, rpc.output_type.name)()]
        assert [type(m).__name__ for m in script.calls[-1]] == [rpc.input_type.name]
        assert script.calls[-1][0].user == "alice"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["{}"],
        ["", "{}\n", "x" * 5],
        ["é" * 3_000_000],
        ["🙂" * 700_000, "{}", "x" * (1 << 20)],
        ["x" * (1 << 18), "y" * ((1 << 18) + 1)],
    ],
)
def test_an_import_s_lines_arrive_whole_in_messages_that_fit(lines: list[str]) -> None:
    messages = list(requests.import_messages(user="alice", lines=lines))
    assert all(message.ByteSize() < 2 << 20 for message in messages)
    assert all(message.lines for message in messages[1:])
    joined: list[str] = []
    continued = False
    for message in messages:
        for line in message.lines:
            if continued:
                joined[-1] += line
            else:
                joined.append(line)
            continued = False
        continued = message.continued
    assert not continued
    assert joined == [line.rstrip("\n") for line in lines]


def test_an_export_s_lines_are_put_together() -> None:
    pieces = [("a", False), ("b", True), ("c", True), ("d", False), ("", False), ("cut", True)]
    messages = [
        pb.ExportOverlayResponse(line=line, continued=continued) for line, continued in pieces
    ]
    assert list(whole_lines(messages)) == ["a", "bcd", ""]


# Deadlines


async def test_every_call_has_a_deadline(asker: Asker, script: Script) -> None:
    for name in ARGUMENTS:
        await asker.call(name)
        remaining = script.remaining_s[-1]
        assert remaining is not None
        assert SHORT_S + ROUNDED_S < remaining <= DEFAULT_TIMEOUT_S + ROUNDED_S


async def test_within_is_another_deadline_over_the_same_connection(
    asker: Asker, script: Script
) -> None:
    for name in ARGUMENTS:
        await asker.within(SHORT_S).call(name)
        remaining = script.remaining_s[-1]
        assert remaining is not None
        assert 0 < remaining <= SHORT_S + ROUNDED_S
    assert asker.client.timeout_s == DEFAULT_TIMEOUT_S


async def test_a_call_that_is_not_answered_in_time_ends(asker: Asker, script: Script) -> None:
    script.hangs = True
    for name in ("answer", "stream_answer", "personalize"):
        with pytest.raises(errors.DeadlineExceeded):
            await asker.within(0.2).call(name)


# Request ids and retries


@pytest.mark.parametrize("name", WRITES)
async def test_a_request_id_is_made_up_for_each_write(
    asker: Asker, script: Script, name: str
) -> None:
    await asker.call(name)
    await asker.call(name)
    await asker.call(name, request_id="mine")
    first, second, third = (call[0].request_id for call in script.calls)
    assert first
    assert second
    assert first != second
    assert third == "mine"


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_retried_with_the_same_request_id(
    asker: Asker, script: Script, name: str
) -> None:
    script.failures = MOST_ATTEMPTS - 1
    await asker.call(name)
    assert len(script.calls) == MOST_ATTEMPTS
    assert all(call == script.calls[0] for call in script.calls)
    assert script.calls[0][0].request_id


@pytest.mark.parametrize("name", READS)
async def test_a_read_is_retried(asker: Asker, script: Script, name: str) -> None:
    script.failures = 2
    await asker.call(name)
    assert len(script.calls) == 3


async def test_retries_end(asker: Asker, script: Script) -> None:
    script.failures = MOST_ATTEMPTS
    with pytest.raises(errors.Unavailable):
        await asker.call("answer")
    assert len(script.calls) == MOST_ATTEMPTS


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_not_retried_after_its_first_message(
    kind: type[Client] | type[AsyncClient], address: str, script: Script, name: str
) -> None:
    script.failures, script.messages_before_failure = 1, 1
    arguments = {"user": "alice", **ARGUMENTS[name]}
    seen = []
    if kind is Client:

        def read() -> None:
            with Client(address) as client:
                for message in getattr(client, name)(**arguments):
                    seen.append(message)  # noqa: PERF402 - what came before the failure counts

        with pytest.raises(errors.Unavailable):
            await asyncio.to_thread(read)
    else:
        async with AsyncClient(address) as client:
            with pytest.raises(errors.Unavailable):
                async for message in getattr(client, name)(**arguments):
                    seen.append(message)  # noqa: PERF401
    assert len(seen) == 1
    assert len(script.calls) == 1


@pytest.mark.parametrize(
    "code",
    [c for c in grpc.StatusCode if c not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)],
)
async def test_each_other_status_is_its_own_error_and_not_retried(
    asker: Asker, script: Script, code: grpc.StatusCode
) -> None:
    script.failures, script.code = 1, code
    name = "".join(part.capitalize() for part in code.name.split("_"))
    with pytest.raises(errors.CallError) as failed:
        await asker.call("answer")
    assert type(failed.value) is getattr(errors, name, errors.ServerFailure)
    assert str(failed.value) == "as the script says"
    assert len(script.calls) == 1


async def test_a_server_that_is_not_there_is_unavailable(
    kind: type[Client] | type[AsyncClient],
) -> None:
    with scripted_server(Script()) as gone:
        pass
    asker = Asker(kind(gone))
    with pytest.raises(errors.Unavailable):
        await asker.call("answer")
    await asker.close()


# What an error tells


async def test_an_error_tells_what_the_server_packed_into_it(asker: Asker, script: Script) -> None:
    details = [
        error_details_pb2.ErrorInfo(reason="BUSY", domain="kgt", metadata={"tokens": "7"}),
        error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field="query", description="is empty")
            ]
        ),
        error_details_pb2.QuotaFailure(
            violations=[
                error_details_pb2.QuotaFailure.Violation(
                    subject="user", description="user_facts: 2"
                )
            ]
        ),
        error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
    ]
    status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    script.failures, script.code = 1, grpc.StatusCode.RESOURCE_EXHAUSTED
    script.trailing = (("grpc-status-details-bin", status.SerializeToString()),)
    with pytest.raises(errors.ResourceExhausted) as failed:
        await asker.call("stream_answer")
    error = failed.value
    assert (error.reason, error.metadata, error.fields) == (
        "BUSY",
        {"tokens": "7"},
        {"query": "is empty"},
    )
    assert error.quotas == {"user": "user_facts: 2"}
    assert error.retry_after_s == 1.5


# With the whole service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as started:
        yield started


async def test_a_correction_takes_effect(
    kind: type[Client] | type[AsyncClient], service: Running
) -> None:
    asker = Asker(kind(service.address))
    response = await asker.call("personalize", answer="vegetables")
    assert response.converged
    assert (await asker.call("answer", query=FEED)).text == "vegetables"
    pieces = await asker.call("stream_answer", query=FEED)
    assert "".join(p.text for p in pieces) == "vegetables"
    lines = [m.line for m in await asker.call("export_overlay")]
    assert (await asker.call("import_overlay", user="carol", lines=lines)).imported_edits == 1
    assert (await asker.call("answer", user="carol", query=FEED)).text == "vegetables"
    assert (await asker.call("revert_edit", edit_id=response.edit.id)).edit.revision == 2
    assert (await asker.call("answer", query=FEED)).text == "meat"
    await asker.close()


async def test_the_services_errors_name_reason_and_field(
    kind: type[Client] | type[AsyncClient], service: Running
) -> None:
    asker = Asker(kind(service.address))
    with pytest.raises(errors.InvalidArgument) as invalid:
        await asker.call("answer", query="")
    assert invalid.value.reason == "INVALID_FIELD"
    assert set(invalid.value.fields) == {"query"}
    with pytest.raises(errors.NotFound) as unknown:
        await asker.call("revert_edit")
    assert (unknown.value.reason, unknown.value.fields) == ("UNKNOWN_EDIT", {})
    await asker.call("edit_facts", request_id="once")
    with pytest.raises(errors.AlreadyExists) as reused:
        await asker.call("edit_facts", add=[("dog", "likes", "hats")], request_id="once")
    assert reused.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(errors.Aborted) as moved:
        await asker.call("edit_facts", add=[("dog", "likes", "hats")], expected_revision=0)
    assert moved.value.metadata == {"expected_revision": "0", "revision": "1"}
    await asker.close()


# What it brings


def test_the_client_loads_nothing_of_the_server() -> None:
    code = (
        "import kgt.client, kgt.command.run, kgt.__main__, sys;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"kgt", "grpc"} <= loaded
    assert loaded.isdisjoint(
        {"torch", "transformers", "peft", "numpy", "pydantic", "server", "kgload", "sqlite3"}
    )
