"""The clients' methods, compared with the contract and with each other, and as mypy sees them."""

# mypy: warn-unused-ignores
from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, assert_type, get_type_hints

import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from kgt.client import AsyncClient, Client
from kgt.v1 import personalization_pb2 as pb
from tests.kgt.scripted_server import RPCS, Script, scripted_server, snake_case

CLIENTS = (Client, AsyncClient)
PIECES_OF_A_LINE = "continued"
"""A field of the wire that no caller sets: a method is given whole lines."""

each_rpc = pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: str(rpc.name))
each_client = pytest.mark.parametrize("kind", CLIENTS)


def method_of(kind: type, rpc: MethodDescriptor) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(kind, snake_case(rpc.name))
    return found


def parameters(method: Callable[..., Any]) -> list[inspect.Parameter]:
    (_self, *named) = inspect.signature(method).parameters.values()
    return named


@each_rpc
@each_client
def test_a_method_takes_its_requests_fields(kind: type, rpc: MethodDescriptor) -> None:
    named = {parameter.name for parameter in parameters(method_of(kind, rpc))}
    assert named == set(rpc.input_type.fields_by_name) - {PIECES_OF_A_LINE}


@each_rpc
def test_both_clients_take_the_same_arguments(rpc: MethodDescriptor) -> None:
    blocking, awaited = (parameters(method_of(kind, rpc)) for kind in CLIENTS)
    assert blocking == awaited
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in blocking)


@each_rpc
def test_both_clients_are_documented_in_the_same_words(rpc: MethodDescriptor) -> None:
    blocking, awaited = (prose(method_of(kind, rpc)) for kind in CLIENTS)
    assert blocking
    assert blocking == awaited


def prose(method: Callable[..., Any]) -> str:
    """A docstring without its example, which is called or awaited."""
    text = inspect.getdoc(method) or ""
    return re.sub(r"\n\n    [^\n]+(\n    [^\n]+)*", "", text)


@each_rpc
def test_a_method_leaves_to_the_server_what_its_caller_leaves_out(rpc: MethodDescriptor) -> None:
    """No default of the server's is written down a second time: it is not sent."""
    for parameter in parameters(method_of(Client, rpc)):
        if parameter.default is not inspect.Parameter.empty:
            assert parameter.default in (None, False, 0, "", ()), parameter.name


# What is sent


def other_value(field: FieldDescriptor) -> Any:
    """A value of this field that differs from the one sent when nothing is said."""
    value: Any = {
        FieldDescriptor.CPPTYPE_STRING: "text",
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
    }.get(field.cpp_type, 3)
    if field.message_type is not None:
        inside = {"head": "h", "relation": "r", "tail": "t"} if field.is_repeated else {"k": 7}
        value = getattr(pb, field.message_type.name)(**inside)
    return [value] if field.is_repeated else value


@each_rpc
async def test_every_argument_of_both_clients_is_sent(rpc: MethodDescriptor) -> None:
    fields = {f.name: f for f in rpc.input_type.fields if f.name != PIECES_OF_A_LINE}
    arguments = {name: other_value(field) for name, field in fields.items()}
    script = Script()
    with scripted_server(script) as address:
        with Client(address) as client:
            called = method_of(Client, rpc)(client, **arguments)
            if rpc.server_streaming:
                list(called)
        async with AsyncClient(address) as other:
            awaited = method_of(AsyncClient, rpc)(other, **arguments)
            if rpc.server_streaming:
                assert [type(message).__name__ async for message in awaited]
            else:
                await awaited
    for (message,) in script.calls:
        assert message == getattr(pb, rpc.input_type.name)(**arguments)


# What mypy sees


@each_rpc
def test_a_method_says_the_message_that_it_returns(rpc: MethodDescriptor) -> None:
    message: Any = getattr(pb, rpc.output_type.name)
    blocking, awaited = method_of(Client, rpc), method_of(AsyncClient, rpc)
    returned = get_type_hints(blocking)["return"], get_type_hints(awaited)["return"]
    if rpc.server_streaming:
        assert returned == (Iterator[message], AsyncIterator[message])
        assert inspect.isasyncgenfunction(awaited)
    else:
        assert returned == (message, message)
        assert inspect.iscoroutinefunction(awaited)


def as_mypy_sees_the_blocking_client(kgt: Client) -> None:
    """`make lint` checks this; it is never called."""
    assert_type(kgt.within(1.0), Client)
    assert_type(kgt.answer(user="alice", query="q"), pb.AnswerResponse)
    assert_type(kgt.personalize(user="alice", query="q", answer="a"), pb.PersonalizeResponse)
    assert_type(kgt.import_overlay(user="alice", lines=["{}"]), pb.ImportOverlayResponse)
    assert_type(kgt.export_overlay(user="alice"), Iterator[pb.ExportOverlayResponse])
    assert_type(kgt.stub.Answer(pb.AnswerRequest()), pb.AnswerResponse)
    kgt.answer(user="alice", question="q")  # type: ignore[call-arg]
    kgt.answer(user="alice", query=1)  # type: ignore[arg-type]


async def as_mypy_sees_the_asynchronous_client(kgt: AsyncClient) -> None:
    """`make lint` checks this; it is never called."""
    assert_type(kgt.within(1.0), AsyncClient)
    assert_type(await kgt.answer(user="alice", query="q"), pb.AnswerResponse)
    assert_type(await kgt.personalize(user="alice", query="q", answer="a"), pb.PersonalizeResponse)
    assert_type(await kgt.import_overlay(user="alice", lines=["{}"]), pb.ImportOverlayResponse)
    assert_type(await kgt.stub.Answer(pb.AnswerRequest()), pb.AnswerResponse)
    async for message in kgt.export_overlay(user="alice"):
        assert_type(message, pb.ExportOverlayResponse)
    await kgt.answer(user="alice", question="q")  # type: ignore[call-arg]
    await kgt.answer(user="alice", query=1)  # type: ignore[arg-type]
