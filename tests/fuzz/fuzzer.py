"""A client that sends anything to a real server, and what has to hold whatever it sends.

No answer is INTERNAL or UNKNOWN, and none shows a stack trace. The log holds neither a stack trace
nor what users wrote. A witness, who has nothing to do with all this, can read their own writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.fuzz.messages import CANARY, EXPORT, KNOWN, METHODS, SERVICE
from tests.rpc.running import Running, running

DEADLINE_S = 30.0
FORBIDDEN = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.DATA_LOSS,
)
LEAVING = ("ExportOverlay", "EraseUser")
_WITNESS = "witness"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an RPC, with messages (several for a stream) or with raw bytes."""

    method: str
    messages: Sequence[Message] = ()
    raw: bytes | None = None


@dataclass(slots=True)
class Fuzzer:
    """Sends calls over one channel, and remembers the answers in order to send them back."""

    channel: grpc.Channel
    log: _Log
    known: list[str] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each RPC ended with each status."""
    users: set[str] = field(default_factory=set)
    """The users for whom calls succeeded, other than calls that also take names refused today."""
    exported: list[str] = field(default_factory=list)
    """The lines of the last whole export."""
    witnessed: int = 0
    _exporting: list[str] = field(default_factory=list)

    def send(self, call: Call) -> grpc.StatusCode:
        """Make the call and check its outcome. Raises AssertionError."""
        try:
            for response in self._responses(call):
                self._remember(response)
            code, details = grpc.StatusCode.OK, ""
            if call.method not in LEAVING:
                first: Sequence[Any] = call.messages[:1]
                self.users |= {message.user for message in first}
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
        self.outcomes[call.method, code.name] += 1
        assert code not in FORBIDDEN, f"{call}: {code}: {details}"
        assert "Traceback" not in details, f"{call}: {details}"
        assert CANARY not in details, f"{call}: the message repeats what was sent: {details}"
        return code

    def check_log(self) -> None:
        """The log so far. Raises AssertionError."""
        text = self.log.text()
        assert "Traceback" not in text, text[-4000:]
        assert CANARY not in text, [line for line in text.splitlines() if CANARY in line][:3]

    def check_witness(self) -> None:
        """Another user's write is acknowledged and can be read at once. Raises AssertionError."""
        self.witnessed += 1
        tail = f"thing {self.witnessed}"
        triple = {"head": "witness box", "relation": "holds", "tail": tail}
        edited = self.one("EditFacts", user=_WITNESS, add=[triple])
        facts = self.one("ListFacts", user=_WITNESS, page_size=1)
        assert edited.edit.revision == facts.revision == self.witnessed
        assert facts.facts[0].triple.tail == tail

    def one(self, method: str, **values: Any) -> Any:
        """The only response to a request that is expected to succeed."""
        (response,) = self.responses(method, **values)
        return response

    def responses(self, method: str, **values: Any) -> list[Any]:
        """All responses to a request that is expected to succeed."""
        return list(self._responses(Call(method, [_request_class(method)(**values)])))

    def _responses(self, call: Call) -> Iterator[Message]:
        kind = METHODS[call.method]
        sent = (
            [call.raw]
            if call.raw is not None
            else [self._filled(m).SerializeToString() for m in call.messages]
        )
        path = f"/{SERVICE.full_name}/{call.method}"
        read = GetMessageClass(kind.output_type).FromString
        if kind.client_streaming:
            yield self.channel.stream_unary(path, None, read)(iter(sent), timeout=DEADLINE_S)
        elif kind.server_streaming:
            yield from self.channel.unary_stream(path, None, read)(sent[0], timeout=DEADLINE_S)
        else:
            yield self.channel.unary_unary(path, None, read)(sent[0], timeout=DEADLINE_S)

    def _filled(self, message: Message) -> Message:
        """`message` with its placeholders replaced by what the server answered before."""
        for descriptor, value in message.ListFields():
            if descriptor.name == "lines" and value and value[0].startswith(EXPORT):
                lines = self._export(value[0][len(EXPORT) :])
                message.ClearField("lines")
                message.lines.extend(lines)  # type: ignore[attr-defined]
            elif isinstance(value, str) and value.startswith(KNOWN) and self.known:
                setattr(
                    message,
                    descriptor.name,
                    self.known[-1 - int(value[len(KNOWN) :]) % len(self.known)],
                )
        return message

    def _export(self, spoilt: str) -> list[str]:
        """The lines of the last whole export; `spoilt` names a change and a line's number."""
        lines = list(self.exported)
        change, _, number = spoilt.partition(":")
        if change and lines:
            at = int(number) % len(lines)
            lines[at : at + 1] = {
                "without": [],
                "twice": [lines[at]] * 2,
                "changed": [lines[at].replace("1", "2")],
            }[change]
        return lines

    def _remember(self, response: Any) -> None:
        if token := getattr(response, "next_page_token", ""):
            self.known.append(token)
        edits = (
            [*getattr(response, "edits", [])[:3]] if hasattr(response, "next_page_token") else []
        )
        if (edit := getattr(response, "edit", None)) is not None:
            edits.append(edit)
        self.known += [e.id for e in edits if e.id]
        if line := getattr(response, "line", ""):
            self._exporting = [line] if '"format"' in line[:200] else [*self._exporting, line]
            if '"sha256"' in line:
                self.exported = self._exporting


def _request_class(method: str) -> Any:
    return GetMessageClass(METHODS[method].input_type)


class _Log(logging.Handler):
    """Everything that this process logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    def text(self) -> str:
        return "\n".join(self._lines)


@contextlib.contextmanager
def fuzzing(folder: Path) -> Iterator[tuple[Fuzzer, Running]]:
    """A fuzzer and its own server, over the store in `folder` and the fixed model."""
    log = _Log()
    loggers = [logging.getLogger(name) for name in ("", "kgt")]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(log)
    loggers[1].setLevel(logging.DEBUG)
    try:
        with _served(folder) as service, grpc.insecure_channel(service.address) as channel:
            yield Fuzzer(channel, log), service
    finally:
        loggers[0].removeHandler(log)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[Running]:
    """The service, on an event loop in its own thread, so that a blocking client can call it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fuzzed server")
    thread.start()
    server = running(folder)
    try:
        started = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        try:
            yield started
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
