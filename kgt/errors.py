"""The errors that a call can raise.

CallError
├── InvalidArgument       a field cannot be used as sent; `fields` names it
├── Unauthenticated       nothing that counts proves who calls; get a new token
├── PermissionDenied      who calls may not do this, or not for this user
├── NotFound              unknown, or another user's
├── AlreadyExists         the request_id was used for another request
├── Aborted               the overlay has changed; read it again and retry
├── FailedPrecondition    valid, but the overlay's state does not allow it
├── ResourceExhausted     busy, or at a limit (`quotas`); `retry_after_s`: when to come back
├── Unavailable           not reachable, or not ready
├── DeadlineExceeded      no response in time
├── DataLoss              the server's store is damaged
├── Cancelled             the call was cancelled
└── ServerFailure         a defect in the server
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2


class CallError(Exception):
    """A call failed.

    Attributes:
        reason: the server's stable, machine-readable name for why (google.rpc.ErrorInfo).
        metadata: details that go with the reason, such as the revision.
        fields: each offending field of the request, and what is wrong with it.
        quotas: each limit that was reached, by whose it is ("user", "service" or "server").
        retry_after_s: when to try again, in seconds; None if the server does not know.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        quotas: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.fields = dict(fields or {})
        self.quotas = dict(quotas or {})
        self.retry_after_s = retry_after_s


class InvalidArgument(CallError):
    """A field cannot be used as it was sent."""


class Unauthenticated(CallError):
    """Nothing that counts proves who calls."""


class PermissionDenied(CallError):
    """Who calls may not do this, or not for this user."""


class NotFound(CallError):
    """This user has no such thing."""


class AlreadyExists(CallError):
    """The request id was used before, for another request."""


class Aborted(CallError):
    """The overlay has changed since it was read."""


class FailedPrecondition(CallError):
    """The request is valid, but the overlay's state does not allow it."""


class ResourceExhausted(CallError):
    """The server is busy, or a limit is reached."""


class Unavailable(CallError):
    """The server cannot be reached, or is not ready."""


class DeadlineExceeded(CallError):
    """No response came in time.

    A write may still have been made. Repeat it with the same `request_id` to find out.
    """


class DataLoss(CallError):
    """The server's store is damaged."""


class Cancelled(CallError):
    """The call was cancelled."""


class ServerFailure(CallError):
    """The server has a defect."""


_BY_CODE: dict[grpc.StatusCode, type[CallError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.CANCELLED: Cancelled,
}


def from_rpc_error(error: grpc.RpcError) -> CallError:
    """The typed form of a gRPC error."""
    kind = _BY_CODE.get(error.code(), ServerFailure)
    info, fields, quotas, retry_after_s = error_details_pb2.ErrorInfo(), {}, {}, None
    for packed in _details(error):
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            packed.Unpack(info)
        elif packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            packed.Unpack(bad)
            fields = {v.field: v.description for v in bad.field_violations}
        elif packed.Is(error_details_pb2.QuotaFailure.DESCRIPTOR):
            reached = error_details_pb2.QuotaFailure()
            packed.Unpack(reached)
            quotas = {v.subject: v.description for v in reached.violations}
        elif packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            packed.Unpack(retry)
            retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
    return kind(
        error.details() or error.code().name,
        reason=info.reason,
        metadata=info.metadata,
        fields=fields,
        quotas=quotas,
        retry_after_s=retry_after_s,
    )


def _details(error: grpc.RpcError) -> Sequence[Any]:
    trailing: Any = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == "grpc-status-details-bin":
            return list(status_pb2.Status.FromString(value).details)
    return ()
