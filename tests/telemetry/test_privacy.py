"""What users wrote, and who they are, is in no span, no metric and no line of the log."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from kgt.client import AsyncClient
from server.assemble import PLAIN
from server.telemetry.logs import formatter
from tests.rpc.raw import METHODS
from tests.rpc.running import ENJOY, running
from tests.telemetry.seeing import Seen

MARKER = "Zq9marker"
HEADERS = [(name, MARKER) for name in ("x-request-id", "baggage", "traceparent", "x-anything")]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, in each format, at the level that shows most."""
    lines, root = io.StringIO(), logging.getLogger()
    level, formats = root.level, [logging.Formatter(PLAIN), formatter("json"), formatter("console")]
    handlers = [logging.StreamHandler(lines) for _ in formats]
    for handler, form in zip(handlers, formats, strict=True):
        handler.setFormatter(form)
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


def filled(message: Message, depth: int = 3) -> Message:
    """`message` with the marker in each of its texts."""
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            value: Any = f"{MARKER} {field.name}"
        elif field.type == FieldDescriptor.TYPE_MESSAGE and depth:
            kind: Any = field.message_type
            value = filled(GetMessageClass(kind)(), depth - 1)
        else:
            continue
        if field.is_repeated:
            add = getattr(message, field.name)
            add.add().CopyFrom(value) if isinstance(value, Message) else add.append(value)
        elif isinstance(value, Message):
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)
    return message


async def everything_filled(address: str) -> None:
    """Call every RPC with the marker in every text, whether it is taken or refused."""
    async with grpc.aio.insecure_channel(address) as channel:
        for method in METHODS:
            request = filled(GetMessageClass(method.input_type)())
            call: Any = channel.stream_stream
            path = f"/{method.containing_service.full_name}/{method.name}"
            responses = call(path)(
                iter([request.SerializeToString()]), metadata=HEADERS, timeout=20
            )
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for _ in responses:
                    pass


async def everything_taken(client: AsyncClient) -> None:
    """Call every RPC in a way that succeeds, with the marker in what is written."""
    user, query = f"{MARKER}-user", f"What does a {MARKER} dog enjoy?"
    await client.personalize(user=user, query=query, answer=f"{MARKER} food", request_id=MARKER)
    await client.learn(user=user, text=f"My dog is named {MARKER}.")
    await client.answer(user=user, query=query, candidates=[f"{MARKER} bones"])
    assert [message async for message in client.stream_answer(user=user, query=ENJOY)]
    await client.retrieve(user=user, query=query)
    await client.get_neighborhood(user=user, concept=f"{MARKER} dog")
    await client.edit_facts(user=user, add=[(f"{MARKER} dog", "Desires", f"{MARKER} toy")])
    await client.list_facts(user=user)
    edits = await client.list_edits(user=user)
    lines = [message.line async for message in client.export_overlay(user=user)]
    await client.revert_edit(user=user, edit_id=edits.edits[0].id)
    await client.import_overlay(user=f"{MARKER}-other", lines=lines)
    await client.erase_user(user=user, request_id=MARKER)


async def test_a_marker_sent_through_every_rpc_is_found_nowhere(
    tmp_path: Path, seen: Seen, log: io.StringIO
) -> None:
    async with running(tmp_path, sight=seen.sight) as service:
        await everything_taken(service.client)
        await everything_filled(service.address)
    told = [span.to_json() for span in seen.spans]
    for method in METHODS:
        ended = f'kgt_requests_total{{reason="",rpc="{method.name}",status="OK"}}'
        assert ended in seen.scraped(), "it was called and succeeded"
        assert method.name in log.getvalue()
        assert any(f"/{method.name}" in span for span in told)
    assert MARKER not in "".join(told)
    assert MARKER not in seen.scraped()
    assert MARKER not in log.getvalue()
