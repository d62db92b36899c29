"""Structured logs: every line as JSON or in columns, with the ids of the call that it is about.

Programs log with the standard library as before; structlog only writes the lines. Of an exception,
only its kind and the lines that it came through are shown.
"""

from __future__ import annotations

import logging
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

from server.defects import where
from server.tuning.watching import call_watch

FIELDS = ("rpc", "status", "took_ms")
"""What a line may have in addition, given as `extra`."""


def formatter(kind: Literal["console", "json"], *, colors: bool = False) -> logging.Formatter:
    """What makes a line of a record."""
    renderer = (
        structlog.processors.JSONRenderer()
        if kind == "json"
        else structlog.dev.ConsoleRenderer(colors=colors)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(FIELDS),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_ids,
            _add_where,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _add_ids(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {**event, **call_watch.get().ids()}


def _add_where(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    error = record.exc_info[1] if record.exc_info else None
    kept = {key: value for key, value in event.items() if key not in ("exc_info", "stack_info")}
    return kept if error is None else {**kept, "error": where(error)}
