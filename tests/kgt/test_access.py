"""How a client says who it is, and what it does not say in the clear."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgt.client import AsyncClient, Client, access_in
from kgt.client.access import Access
from kgt.errors import PermissionDenied, Unauthenticated
from server.rpc.identity.keys import KeyFile
from server.rpc.identity.tokens import TokenCallers, TokenRules
from server.rpc.tls import TlsFiles
from testbed.keys import LOOPBACK, Authority, Issuer, key_set, replaced
from tests.rpc.running import ENJOY, running

ISSUER = Issuer()
RULES = TokenRules(ISSUER.name, ISSUER.audience, frozenset({"ES256"}), 30.0)


async def test_a_token_is_renewed_while_the_client_is_in_use(tmp_path: Path) -> None:
    authority = Authority()
    roots = replaced(tmp_path / "authority.crt", authority.certificate)
    keys = KeyFile(replaced(tmp_path / "keys", key_set(ISSUER)))
    files = TlsFiles(*authority.issue("kgt", LOOPBACK).written(tmp_path, "server"))
    token = replaced(tmp_path / "token", ISSUER.token("alice") + "\n")
    async with running(
        tmp_path,
        callers=TokenCallers(RULES, keys),
        credentials=files.credentials(),
        access={"root_certificates": roots},
    ) as service:
        with pytest.raises(Unauthenticated) as missing:
            await service.client.list_facts(user="alice")
        assert missing.value.reason == "TOKEN_MISSING"
        unread = AsyncClient(service.address, token=tmp_path / "none", root_certificates=roots)
        async with unread:
            with pytest.raises(Unauthenticated, match="no token can be read"):
                await unread.list_facts(user="alice")
        for given in (token, lambda: token.read_text().strip()):
            replaced(token, ISSUER.token("alice"))
            async with AsyncClient(service.address, token=given, root_certificates=roots) as client:
                assert (await client.answer(user="alice", query=ENJOY)).text == "meat"
                replaced(token, ISSUER.token("bob"))
                with pytest.raises(PermissionDenied):
                    await client.within(5).list_facts(user="alice")
                parts = [p async for p in client.stream_answer(user="bob", query=ENJOY)]
                assert parts[0].HasField("evidence")
                await client.import_overlay(
                    user="bob",
                    lines=[m.line async for m in client.export_overlay(user="bob")],
                )


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_what_would_be_unsafe_or_half_is_refused(
    kind: type[Client] | type[AsyncClient], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="in the clear"):
        kind("kgt.example.org:50051", token="secret")
    halves: tuple[Access, ...] = ({"certificate": b"x"}, {"key": b"x"})
    for half in halves:
        with pytest.raises(ValueError, match="belong together"):
            kind("127.0.0.1:1", **half)
    with pytest.raises(FileNotFoundError):
        kind("127.0.0.1:1", root_certificates=tmp_path / "none")


def test_the_environment_says_who_calls() -> None:
    assert access_in({}) == {}
    assert access_in({"KGT_TOKEN": "t", "KGT_TLS_CA": "ca", "KGT_TOKEN_FILE": ""}) == {
        "token": "t",
        "root_certificates": Path("ca"),
    }
    assert access_in(
        {"KGT_TOKEN_FILE": "~/token", "KGT_TLS_CERTIFICATE": "c", "KGT_TLS_KEY": "k"}
    ) == {"token": Path.home() / "token", "certificate": Path("c"), "key": Path("k")}
    with pytest.raises(ValueError, match="KGT_TOKEN and KGT_TOKEN_FILE"):
        access_in({"KGT_TOKEN": "t", "KGT_TOKEN_FILE": "f"})
