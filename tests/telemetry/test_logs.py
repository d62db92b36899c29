"""Lines of the log, as JSON and in columns."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.telemetry.logs import formatter
from tests.rpc.running import ENJOY, running
from tests.telemetry.seeing import Seen, attributes_of, context_of


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """The lines of the service's own loggers, as JSON."""
    lines, log = io.StringIO(), logging.getLogger("kgt")
    handler, level = logging.StreamHandler(lines), log.level
    handler.setFormatter(formatter("json"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lines
    log.setLevel(level)
    log.removeHandler(handler)


def parsed(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


async def test_the_line_of_a_call_leads_to_its_trace(
    tmp_path: Path, seen: Seen, written: io.StringIO
) -> None:
    async with running(tmp_path, sight=seen.sight) as service:
        await service.client.answer(user="alice", query=ENJOY)
    (line,) = parsed(written)
    span = seen.one("kgt.v1.PersonalizationService/Answer")
    assert line["trace_id"] == f"{context_of(span).trace_id:032x}"
    assert line["span_id"] == f"{context_of(span).span_id:016x}"
    assert line["request_id"] == attributes_of(span)["kgt.request_id"]
    assert (line["rpc"], line["status"], line["level"]) == ("Answer", "OK", "info")
    assert line["took_ms"] > 0
    assert line["logger"] == "kgt.rpc"


def test_a_line_of_no_call_has_no_ids(written: io.StringIO) -> None:
    logging.getLogger("kgt").warning("the token budget goes from %d to %d", 1024, 512)
    (line,) = parsed(written)
    assert line["event"] == "the token budget goes from 1024 to 512"
    assert line.keys() == {"event", "level", "logger", "timestamp"}


def test_of_an_exception_only_its_kind_and_place_are_told(written: io.StringIO) -> None:
    try:
        raise ValueError("what a user wrote")
    except ValueError:
        logging.getLogger("kgt").exception("it failed")
    (line,) = parsed(written)
    assert line["error"].startswith("ValueError at test_logs.py:")
    assert "what a user wrote" not in written.getvalue()


def test_columns_say_the_same() -> None:
    record = logging.LogRecord("kgt", logging.INFO, "a.py", 1, "%s %s", ("Answer", "OK"), None)
    record.took_ms = 12.5
    line = formatter("console").format(record)
    assert "Answer OK" in line
    assert "took_ms=12.5" in line
    assert "\x1b" not in line
