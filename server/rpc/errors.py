"""What only the gRPC face runs into: its own limits, and messages that do not fit them."""

from __future__ import annotations

from server.errors import InvalidRequest, Unavailable


class MalformedMessage(InvalidRequest):
    """The bytes of a message cannot be decoded."""

    reason = "MALFORMED_MESSAGE"

    def __init__(self) -> None:
        super().__init__(
            "message", "cannot be decoded: texts must be UTF-8, and fields as the contract has them"
        )


class ResponseTooLarge(InvalidRequest):
    """The response would be larger than every client accepts. Nothing was written."""

    reason = "RESPONSE_TOO_LARGE"

    def __init__(self, field: str, size: int, limit: int) -> None:
        super().__init__(
            field, f"the response would take {size} bytes, and {limit} fit; ask for less at once"
        )
        self.size = size
        self.limit = limit


class ServerBusy(Unavailable):
    """The server has as many calls under way as it accepts."""

    reason = "SERVER_BUSY"

    def __init__(self) -> None:
        super().__init__(
            "the server has as many calls under way as it accepts; try again in a moment"
        )


class ImportsBusy(Unavailable):
    """This user, or all users together, have as many imports under way as the server accepts."""

    reason = "IMPORTS_BUSY"

    def __init__(self) -> None:
        super().__init__(
            "the server has as many imports under way as it accepts; try again", retry_after_s=5.0
        )


class Starting(Unavailable):
    """The server listens already, so that probes can see it, but has not loaded everything yet."""

    reason = "STARTING"

    def __init__(self) -> None:
        super().__init__(
            "the server is still loading its model; try again in a moment", retry_after_s=2.0
        )


class CallStalled(Unavailable):
    """The caller did not send the next message, or did not take the last one, in time."""

    reason = "CALL_STALLED"

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"nothing came from the caller for {waited_s:g} s", retry_after_s=None)
