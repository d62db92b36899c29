"""Callers who prove who they are by the certificate of their TLS connection.

gRPC has verified the certificate. A rule says what the names in it may do; it is a TOML file:

    user = 'spiffe://example\\.org/user/(?P<user>[^/]+)'   # the names of users, and who they are
    services = ["spiffe://example.org/chat"]              # may act for any user
    operators = ["ops.example.org"]                       # may see details of the server

A name is any subject alternative name (DNS, URI, e-mail or IP address). The common name counts only
in a certificate without them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.errors import InvalidSetting
from server.rpc.identity.callers import Context, Identity
from server.rpc.identity.watched import Watched

_ALTERNATIVE = "x509_subject_alternative_name"
_COMMON = "x509_common_name"
_USER = "user"
_LISTS = ("services", "operators")


class UnusableRule(ValueError):
    """The file is not a rule for names."""


@dataclass(frozen=True, slots=True)
class NameRule:
    """What the names in a certificate may do."""

    user: re.Pattern[str] | None = None
    """Matches whole names of users. Its group `user` is the user."""
    services: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, data: bytes) -> NameRule:
        """The rule that a file holds. Raises UnusableRule."""
        try:
            document = tomllib.loads(data.decode())
        except ValueError as error:
            raise UnusableRule(f"is not TOML: {error}") from error
        if unknown := document.keys() - {_USER, *_LISTS}:
            raise UnusableRule(f"has {', '.join(sorted(unknown))}, which means nothing")
        services, operators = (_names(document, name) for name in _LISTS)
        return cls(_pattern(document.get(_USER)), services, operators)

    def identity(self, names: Iterable[str]) -> Identity:
        """Who has a certificate with these names. One that names two users is neither of them."""
        names = set(names)
        matches = [self.user.fullmatch(name) for name in names] if self.user else []
        users = {match[_USER] for match in matches if match}
        return Identity(
            name=min(names, default=None),
            user=users.pop() if len(users) == 1 else None,
            any_user=not names.isdisjoint(self.services),
            operator=not names.isdisjoint(self.operators),
        )


class CertificateCallers:
    """Finds who calls by the names in the client's certificate."""

    def __init__(self, path: Path) -> None:
        """`path` is the file of the rule, which is read again when it changes.

        Raises InvalidSetting.
        """
        self._path = path
        self._rule = Watched([path], self._read)

    async def identify(self, context: Context) -> Identity:
        return self._rule.current().identity(names_in(context.auth_context()))

    def _read(self, contents: Sequence[bytes]) -> NameRule:
        try:
            return NameRule.parse(contents[0])
        except UnusableRule as error:
            raise InvalidSetting(f"KGT_AUTH_NAMES: {self._path} {error}") from error


def names_in(auth_context: Mapping[str, Iterable[bytes]]) -> list[str]:
    """The names in a verified certificate, by gRPC's account of the connection."""
    alternative = auth_context.get(_ALTERNATIVE)
    names = alternative or auth_context.get(_COMMON) or ()
    return [name.decode(errors="replace") for name in names]


def _names(document: Mapping[str, Any], name: str) -> frozenset[str]:
    value = document.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UnusableRule(f"has {name} that are not a list of names")
    return frozenset(value)


def _pattern(text: object) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text) if isinstance(text, str) else None
    except re.error as error:
        raise UnusableRule(f"has a user that is not a regular expression: {error}") from error
    if pattern is None or _USER not in pattern.groupindex:
        raise UnusableRule("has a user without the group (?P<user>...)")
    return pattern
