"""Errors as pages: what happened, and what to do. They never show a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from kgt import errors
from kgt.console.visit import visit_of


@dataclass(frozen=True, slots=True)
class Fault:
    """How an error is told. With `command`, the page says how a service is started."""

    status: int
    title: str
    advice: str
    command: bool = False


_OF_CALLS: Mapping[type[errors.CallError], Fault] = {
    errors.InvalidArgument: Fault(400, "That cannot be used", "Change it and try again."),
    errors.Unauthenticated: Fault(
        502,
        "The service does not know who calls",
        "The console has no valid token, or its token has expired. Whoever runs the console"
        " can set KGT_TOKEN_FILE, and renew what is in that file.",
    ),
    errors.PermissionDenied: Fault(
        403,
        "This is not allowed",
        "The console may not act for this user. Whoever runs it can give it the user's own token,"
        " or one that is valid for every user.",
    ),
    errors.NotFound: Fault(
        404, "Not there", "It may have been erased, or this list is out of date: open it again."
    ),
    errors.AlreadyExists: Fault(
        409, "This form was sent before", "Open the page again and fill it in."
    ),
    errors.Aborted: Fault(
        409, "Something changed in the meantime", "Open the page again, and then retry."
    ),
    errors.FailedPrecondition: Fault(409, "Not possible now", "Later changes prevent it."),
    errors.ResourceExhausted: Fault(
        503, "Too much is waiting", "The model is busy with other questions. Try again."
    ),
    errors.Unavailable: Fault(
        503,
        "The service cannot be reached",
        "It is not running, or it is still starting. Once it runs, reload this page.",
        command=True,
    ),
    errors.DeadlineExceeded: Fault(
        504,
        "No answer in time",
        "The service took too long. What you sent may still have been done: see your history.",
    ),
    errors.DataLoss: Fault(
        500,
        "A record is damaged",
        "What is kept about you cannot be read in full. Whoever runs the service can find out more"
        " with python -m server check.",
    ),
}
_TOO_MUCH_AT_ONCE = Fault(
    429, "Too much at once", "The service accepts only so much at a time. Wait a moment."
)
_OF_REASONS: Mapping[str, Fault] = {
    "RATE_EXCEEDED": _TOO_MUCH_AT_ONCE,
    "USER_BUSY": _TOO_MUCH_AT_ONCE,
    "EXPORTS_BUSY": Fault(503, "Too many downloads at once", "Try again in a moment."),
    "OVERLAY_FULL": Fault(
        409,
        "There is no room for more facts",
        "Undo a change, or forget facts that you no longer need.",
    ),
    "HISTORY_FULL": Fault(
        409,
        "Your history is full",
        "You can still undo changes and forget facts. Whoever runs the service can make more room.",
    ),
    "MODEL_UNREACHABLE": Fault(
        503,
        "The model cannot be reached",
        "The service is running, but its language model does not answer. Try again.",
    ),
    "STORE_UNREACHABLE": Fault(
        503,
        "The store cannot be reached",
        "The service is running, but its database does not answer. Try again.",
    ),
    "STORE_FULL": Fault(
        503, "The store is full", "Whoever runs the service has to make room on its disk."
    ),
}
"""Errors that need other words than their class has."""
_DEFECT = Fault(500, "Something went wrong", "That is a defect, and not your fault. Try again.")
_OF_STATUSES: Mapping[int, Fault] = {
    403: Fault(
        403,
        "This form cannot be accepted",
        "The page was opened in another session, or the console was restarted. Open the page"
        " again and send the form from there.",
    ),
    404: Fault(404, "There is no such page", "Follow one of the links above."),
    405: Fault(405, "There is no such page", "Follow one of the links above."),
    413: Fault(413, "That text is too long", "Shorten it and try again."),
}


async def call_failed(request: Request, error: Exception) -> Response:
    """The page for an error of the service."""
    assert isinstance(error, errors.CallError)
    fault = _OF_REASONS.get(error.reason) or _OF_CALLS.get(type(error), _DEFECT)
    return _page(request, fault, fields=error.fields, wait_s=error.retry_after_s)


async def not_served(request: Request, error: Exception) -> Response:
    """The page for a request that the console does not accept."""
    status = int(getattr(error, "status_code", 400))
    fault = _OF_STATUSES.get(status, Fault(status, "That cannot be used", "Open the page again."))
    return _page(request, fault)


def defect(request: Request) -> Response:
    """The page for a defect of the console itself, which has been logged."""
    return _page(request, _DEFECT)


def _page(
    request: Request,
    fault: Fault,
    fields: Mapping[str, str] | None = None,
    wait_s: float | None = None,
) -> Response:
    page = visit_of(request).page(
        "fault.html", status=fault.status, fault=fault, fields=fields or {}, wait_s=wait_s
    )
    if wait_s is not None and fault.status in (429, 503):
        page.headers["Retry-After"] = str(max(1, round(wait_s)))
    return page
