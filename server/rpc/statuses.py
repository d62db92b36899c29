"""What an error becomes on the wire: a gRPC status, and the details that a client can read.

Errors are translated here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from server import errors
from server.rpc.errors import CallStalled, ResponseTooLarge

DOMAIN = "kgt"
_RETRYABLE_MOST_S = 30.0
_MOST_TEXT_BYTES = 1024
_MOST_STATUS_BYTES = 3500
"""In base64 and with a message of 1 KiB, this is under 6 KiB. Clients take 8 KiB of trailers."""

STATUS_OF: dict[type[errors.KgtError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotAuthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.RevisionMoved: grpc.StatusCode.ABORTED,
    errors.OverlayErased: grpc.StatusCode.ABORTED,
    errors.Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelBusy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.LimitReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    CallStalled: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DataLoss: grpc.StatusCode.DATA_LOSS,
    errors.KgtError: grpc.StatusCode.INTERNAL,
}
"""The status of each error. A class that is not listed has the status of its nearest base."""


def status_of(error: errors.KgtError) -> grpc.StatusCode:
    """The gRPC status of an error: that of its class or its nearest base."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


def message_of(error: errors.KgtError) -> str:
    """The message as it is sent."""
    return _capped(str(error))


def trailers(error: errors.KgtError) -> tuple[tuple[str, str | bytes], ...]:
    """The metadata sent after the status: its details, and when to try again."""
    trailing: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", _status(error))]
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        pause_ms = int(min(error.retry_after_s, _RETRYABLE_MOST_S) * 1000)
        trailing.append(("grpc-retry-pushback-ms", str(pause_ms)))
    return tuple(trailing)


def _status(error: errors.KgtError) -> bytes:
    """A google.rpc.Status, without what would make the trailer larger than clients take."""
    status = status_pb2.Status(code=status_of(error).value[0], message=message_of(error))
    for detail in _details(error):
        packed = AnyMessage()
        packed.Pack(detail)
        if status.ByteSize() + packed.ByteSize() <= _MOST_STATUS_BYTES:
            status.details.append(packed)
    return bytes(status.SerializeToString())


def _details(error: errors.KgtError) -> list[Message]:
    """ErrorInfo always, BadRequest with the field, QuotaFailure with the limit, and RetryInfo where
    waiting helps (AIP-193)."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    info.metadata.update({name: _capped(value) for name, value in _metadata(error).items()})
    details: list[Message] = [info]
    if isinstance(error, errors.InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_capped(error.field), description=_capped(error.description)
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, errors.LimitReached):
        reached = error_details_pb2.QuotaFailure.Violation(
            subject=error.subject, description=f"{error.quota}: {error.limit}"
        )
        details.append(error_details_pb2.QuotaFailure(violations=[reached]))
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _metadata(error: errors.KgtError) -> dict[str, str]:
    """What ErrorInfo says besides the reason."""
    match error:
        case errors.TextTooLong() | errors.RequestTooLarge():
            return {"tokens": str(error.tokens), "limit": str(error.limit)}
        case ResponseTooLarge():
            return {"bytes": str(error.size), "limit": str(error.limit)}
        case errors.LimitReached():
            return {"quota": error.quota, "limit": str(error.limit)}
        case errors.RevisionMoved():
            return {"expected_revision": str(error.expected), "revision": str(error.actual)}
        case errors.RevertBlocked():
            return {"edit_ids": _joined(error.edit_ids), "edits": str(error.count)}
        case errors.UnreadableRecord():
            return {"edit_id": error.edit_id, "revision": str(error.revision)}
        case errors.EpsilonUnreachable():
            return {"minimum": repr(error.minimum)}
    return {}


def _capped(text: str) -> str:
    """At most 1 KiB of `text`, in ASCII: in a trailer other characters take three times their
    bytes."""
    text = text.encode("ascii", "replace").decode()
    return text if len(text) <= _MOST_TEXT_BYTES else text[: _MOST_TEXT_BYTES - 3] + "..."


def _joined(edit_ids: Sequence[str]) -> str:
    """As many whole ids as fit one value."""
    value = ""
    for edit_id in edit_ids:
        longer = f"{value},{edit_id}" if value else edit_id
        if len(longer) > _MOST_TEXT_BYTES:
            break
        value = longer
    return value
