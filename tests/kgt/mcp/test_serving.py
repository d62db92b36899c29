"""Over HTTP: whose memory it is, and which addresses may be bound."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from mcp.client.client import Client

from server.rpc.identity.keys import KeyFile
from server.rpc.identity.tokens import TokenCallers, TokenRules
from testbed.keys import Issuer, key_set, replaced
from tests.kgt.mcp.running import (
    called,
    http_server,
    refused,
    run_once,
    stdio,
    tokens_file,
    with_token,
)
from tests.rpc.running import ENJOY, running

TOKENS = {"token-of-hana-0001": "hana", "token-of-hugo-0002": "hugo"}
HANA, HUGO = TOKENS


async def test_one_users_memory_is_served_on_loopback(service: str) -> None:
    with http_server(service, "--user", "henry") as url:
        async with Client(url) as client:
            await called(client, "correct", question=ENJOY, answer="fish")
            assert (await called(client, "answer", question=ENJOY))["text"] == "fish"


async def test_a_token_says_whose_memory_it_is(service: str, tmp_path: Path) -> None:
    path = tokens_file(tmp_path, TOKENS)
    with http_server(service, "--tokens", str(path)) as url:
        async with with_token(url, HANA) as hana, with_token(url, HUGO) as hugo:
            await called(hana, "correct", question=ENJOY, answer="fish")
            assert (await called(hugo, "answer", question=ENJOY))["text"] == "meat"
            assert (await called(hugo, "what_do_you_know"))["facts"] == []
            assert (await called(hana, "answer", question=ENJOY))["text"] == "fish"


async def test_the_service_is_told_who_calls(tmp_path: Path) -> None:
    issuer = Issuer()
    rules = TokenRules(issuer.name, issuer.audience, frozenset({"ES256"}), 30.0)
    keys = KeyFile(replaced(tmp_path / "keys", key_set(issuer)))
    token = replaced(tmp_path / "token", issuer.token("henry"))
    async with (
        running(tmp_path, callers=TokenCallers(rules, keys)) as service,
        stdio(service.address, "henry", KGT_TOKEN_FILE=str(token)) as client,
    ):
        assert (await called(client, "answer", question=ENJOY))["text"] == "meat"
        replaced(token, issuer.token("hana"))
        assert "NOT_THIS_USER" in await refused(client, "answer", question=ENJOY)


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer token-of-nobody-0003"}])
async def test_a_call_without_a_known_token_is_refused(
    service: str, tmp_path: Path, header: dict[str, str]
) -> None:
    path = tokens_file(tmp_path, TOKENS)
    with http_server(service, "--tokens", str(path)) as url:
        async with httpx2.AsyncClient(headers=header) as http:
            asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
            response = await http.post(url, json=asked)
    assert response.status_code == 401


async def test_a_web_page_cannot_call_a_server_on_loopback(service: str) -> None:
    with http_server(service, "--user", "henry") as url:
        for header in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            async with httpx2.AsyncClient(headers=header) as http:
                asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
                response = await http.post(url, json=asked)
            assert response.status_code in (403, 421)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_only_loopback_is_bound_without_an_identity(address: str) -> None:
    status, said = run_once("--user", "alice", "--http", address)
    assert status == 2
    assert "--tokens" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "KGT_USER"),
        (["--http"], "KGT_USER"),
        (["--tokens", "tokens"], "--http"),
        (["--tokens", "tokens", "--http"], "cannot be read"),
        (["--user", "a", "--server", "nowhere"], "host:port"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(arguments: list[str], says: str) -> None:
    status, said = run_once(*arguments)
    assert (status, said.count("\n")) == (2, 1)
    assert says in said
