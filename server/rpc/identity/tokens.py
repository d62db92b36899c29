"""Callers who send a JSON Web Token (RFC 7519) as a bearer token."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from server.rpc.errors import TokenExpired, TokenInvalid, TokenMissing
from server.rpc.identity.callers import Context, Identity
from server.rpc.identity.keys import Keys

ANY_USER = "kgt.any_user"
"""The scope of services that act for all users."""
OPERATOR = "kgt.operator"
"""The scope of those who may see details of the server."""

_METADATA = "authorization"
_SCHEME = "bearer"
_SCOPES = ("scope", "scp")
"""RFC 8693 has the first one, a text with blanks between. Some issuers write the second, or a
list."""
_log = logging.getLogger("kgt.rpc.identity")


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must be to count here."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    leeway_s: float


class TokenCallers:
    """Finds who calls by the token that the call carries."""

    def __init__(self, rules: TokenRules, keys: Keys) -> None:
        self._rules = rules
        self._keys = keys

    async def identify(self, context: Context) -> Identity:
        """The caller's identity. Raises TokenMissing, TokenInvalid, TokenExpired, KeysUnavailable.

        Only a token that is rightly signed is told that it has expired.
        """
        claims = await self._claims(_bearer_token(context))
        scopes = _scopes(claims)
        return Identity(
            name=claims["sub"],
            user=claims["sub"],
            any_user=ANY_USER in scopes,
            operator=OPERATOR in scopes,
            expires_s=int(claims["exp"]) + self._rules.leeway_s,
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        """What the token says, verified."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise _refused(error) from None
        algorithm = header.get("alg")
        # Before any key is looked for, so that what could never count causes no fetch of keys.
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise _refused(jwt.InvalidAlgorithmError())
        for key in await self._keys.find(header.get("kid")):
            if algorithm not in key.algorithms:
                continue
            try:
                return self._verified(token, key.key, algorithm)
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise TokenExpired from None
            except (jwt.PyJWTError, OverflowError) as error:
                raise _refused(error) from None
        raise _refused(jwt.InvalidSignatureError())

    def _verified(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._rules.issuer,
            audience=self._rules.audience,
            leeway=self._rules.leeway_s,
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "enforce_minimum_key_length": True,
            },
        )


def _bearer_token(context: Context) -> str:
    """The call's token. Raises TokenMissing and TokenInvalid."""
    metadata: Any = context.invocation_metadata() or ()
    values = [value for name, value in metadata if name == _METADATA]
    if not values:
        raise TokenMissing
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != _SCHEME:
        raise TokenInvalid
    return str(token)


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    scopes: set[str] = set()
    for name in _SCOPES:
        value = claims.get(name, ())
        given = value.split() if isinstance(value, str) else value
        if isinstance(given, list):
            scopes.update(scope for scope in given if isinstance(scope, str))
    return scopes


def _refused(error: Exception) -> TokenInvalid:
    """Why a token is refused is logged for those who run the server, without the token."""
    _log.info("a token was refused: %s", type(error).__name__)
    return TokenInvalid()
