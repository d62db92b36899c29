"""What only the gRPC face runs into: its own limits, and messages that do not fit them."""

from __future__ import annotations

from server.errors import InvalidRequest, LimitReached, NotAuthenticated, NotPermitted, Unavailable


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


class TokenMissing(NotAuthenticated):
    """The call carries no token."""

    reason = "TOKEN_MISSING"

    def __init__(self) -> None:
        super().__init__("send a token: the metadata authorization, with Bearer and the token")


class TokenInvalid(NotAuthenticated):
    """The call's token does not count here.

    It is malformed, wrongly signed, for another service, or not valid yet: the caller is not told
    which, the log is.
    """

    reason = "TOKEN_INVALID"

    def __init__(self) -> None:
        super().__init__("the token does not count here; get one for this service")


class TokenExpired(NotAuthenticated):
    """The token counted here, and its time is over."""

    reason = "TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the token has expired; get a new one")


class NotThisUser(NotPermitted):
    """The caller may not act for the request's user, whether there is such a user or not."""

    reason = "NOT_THIS_USER"

    def __init__(self) -> None:
        super().__init__("this caller may not act for the user that the request names")


class OperatorsOnly(NotPermitted):
    """Only operators may see details of the server."""

    reason = "OPERATORS_ONLY"

    def __init__(self) -> None:
        super().__init__("only operators may do this; everyone may ask for the server's health")


class KeysUnavailable(Unavailable):
    """The keys that tokens are verified with cannot be fetched."""

    reason = "KEYS_UNAVAILABLE"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("tokens cannot be verified now; try again later", retry_after_s)


class RateExceeded(LimitReached):
    """A user or a service has called more often than its rate allows."""

    reason = "RATE_EXCEEDED"

    def __init__(self, subject: str, rate: str, retry_after_s: float) -> None:
        super().__init__(
            f"more calls than this {subject}'s {rate}; try again in {retry_after_s:.1f} s",
            subject,
            f"{subject}_rate",
            rate,
            retry_after_s,
        )


class UserBusy(LimitReached):
    """This user has as many calls under way as the server accepts of one."""

    reason = "USER_BUSY"

    def __init__(self, subject: str, limit: int) -> None:
        super().__init__(
            f"this user has {limit} calls under way, and more are not accepted; try again",
            subject,
            "user_calls",
            limit,
            retry_after_s=1.0,
        )


class ServerBusy(LimitReached):
    """The server has as many calls under way as it accepts."""

    reason = "SERVER_BUSY"

    def __init__(self, limit: int) -> None:
        super().__init__(
            "the server has as many calls under way as it accepts; try again in a moment",
            "server",
            "calls",
            limit,
            retry_after_s=1.0,
        )


class ExportsBusy(LimitReached):
    """This user, or all users together, have as many exports under way as the server accepts."""

    reason = "EXPORTS_BUSY"

    def __init__(self, subject: str, limit: int) -> None:
        super().__init__(
            f"this {subject} has as many exports under way as are accepted; try again",
            subject,
            "exports" if subject == "server" else "user_exports",
            limit,
            retry_after_s=5.0,
        )


class ImportsBusy(LimitReached):
    """This user, or all users together, have as many imports under way as the server accepts."""

    reason = "IMPORTS_BUSY"

    def __init__(self, subject: str, quota: str, limit: int) -> None:
        super().__init__(
            f"this {subject} has as many imports under way as are accepted; try again",
            subject,
            quota,
            limit,
            retry_after_s=5.0,
        )

    @classmethod
    def by_number(cls, subject: str, limit: int) -> ImportsBusy:
        """The refusal of an import where too many are under way."""
        return cls(subject, "imports" if subject == "server" else "user_imports", limit)


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
