"""Who calls over HTTP: each user has a bearer token of their own.

A file of tokens has a line for each: the token, a blank, and the user. The tokens are kept in
memory as hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier

LEAST_TOKEN_CHARACTERS = 16


class WrongTokens(ValueError):
    """The file of tokens cannot be used."""


class UserTokens(TokenVerifier):
    """Knows the user of each token."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = {_digest(token): user for token, user in users.items()}

    @classmethod
    def read(cls, path: Path) -> UserTokens:
        """The tokens of a file. Raises WrongTokens, which does not repeat them."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongTokens(f"{path}: cannot be read") from error
        users: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            token, _, user = line.strip().partition(" ")
            if len(token) < LEAST_TOKEN_CHARACTERS or not user.strip():
                raise WrongTokens(
                    f"{path}, line {number}: is a token of at least {LEAST_TOKEN_CHARACTERS}"
                    " characters, a blank, and a user"
                )
            if token in users:
                raise WrongTokens(f"{path}, line {number}: has a token that another line has")
            users[token] = user.strip()
        if not users:
            raise WrongTokens(f"{path}: has no token")
        return cls(users)

    async def verify_token(self, token: str) -> AccessToken | None:
        user = self._users.get(_digest(token))
        if user is None:
            return None
        return AccessToken(token=token, client_id=user, scopes=[], subject=user)


def user_of_token() -> str:
    """The user whose token the present call has. The SDK lets no call without one get here."""
    token = get_access_token()
    if token is None or not token.subject:
        raise RuntimeError("a call without an identity was let through")
    return token.subject


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
