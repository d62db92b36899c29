"""Whom the demo's server believes: anyone, or those who have tokens that the demo issues itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from kgt.client import Client
from kgt.client.access import Access
from testbed.keys import LOOPBACK, Authority, Issuer, key_set, replaced

MODES = ("none", "jwt")


class Tokens:
    """An issuer of tokens and a server's certificate, made anew, with their files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.issuer, authority = Issuer(), Authority()
        self._roots = replaced(folder / "authority.crt", authority.certificate)
        keys = replaced(folder / "keys.json", key_set(self.issuer))
        certificate, key = authority.issue("kgt", LOOPBACK).written(folder, "server")
        self.server_arguments = (
            *("--auth", "jwt", "--auth-keys", str(keys)),
            *("--auth-issuer", self.issuer.name, "--auth-audience", self.issuer.audience),
            *("--tls-certificate", str(certificate), "--tls-key", str(key)),
        )

    def access(self, user: str | None) -> Access:
        """What a client of `user` connects with; without a token for None."""
        access: Access = {"root_certificates": self._roots}
        if user is not None:
            access["token"] = self.issuer.token(user)
        return access


class Clients:
    """A client for each user, to be closed at the end."""

    def __init__(self, address: str, access: Callable[[str | None], Access]) -> None:
        self._address = address
        self._access = access
        self._open: dict[str | None, Client] = {}
        self._stack = ExitStack()

    def of(self, user: str | None) -> Client:
        """The user's client, or one of nobody."""
        if user not in self._open:
            client = Client(self._address, **self._access(user))
            self._open[user] = self._stack.enter_context(client)
        return self._open[user]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
