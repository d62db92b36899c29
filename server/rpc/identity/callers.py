"""An identity and what it may do, and how the identity of a call is found."""

from __future__ import annotations

from dataclasses import dataclass
from time import time
from typing import Any, Protocol, TypeAlias

import grpc.aio

from server.rpc.errors import NotThisUser, OperatorsOnly, TokenExpired

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, as far as it was proved."""

    name: str | None = None
    """The caller itself, whoever it acts for: its rate is counted under this name."""
    user: str | None = None
    """The user that the caller is."""
    any_user: bool = False
    """Whether the caller is a service that may act for every user."""
    operator: bool = False
    """Whether the caller may see details of the server: named health services and reflection."""
    expires_s: float | None = None
    """Until when, in seconds since 1970."""

    def require_user(self, user: str) -> None:
        """Raise NotThisUser unless the caller may act for `user`, whether there is one or not."""
        if not self.any_user and user != self.user:
            raise NotThisUser

    def require_operator(self) -> None:
        """Raise OperatorsOnly unless the caller is one."""
        if not self.operator:
            raise OperatorsOnly

    def require_unexpired(self) -> None:
        """Raise TokenExpired if the identity was proved for a time that is over."""
        if self.expires_s is not None and time() >= self.expires_s:
            raise TokenExpired


class Callers(Protocol):
    """How the identity of a call is found."""

    async def identify(self, context: Context) -> Identity:
        """The caller's identity. Raises NotAuthenticated and KeysUnavailable."""
        ...


class Anyone:
    """Nobody has to prove anything (`KGT_AUTH=none`): whoever reaches the port may be any user."""

    async def identify(self, context: Context) -> Identity:
        return Identity(any_user=True, operator=True)
