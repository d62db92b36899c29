"""The containers' probe asks the server that the environment names, and never through a proxy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.health import main
from server.rpc.tls import TlsFiles
from testbed.keys import Authority, replaced
from tests.rpc.running import running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("KGT_ADDRESS", "KGT_SERVER", "KGT_TLS_CERTIFICATE", "KGT_TLS_KEY"),
        *("no_proxy", "NO_PROXY"),
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["KGT_ADDRESS", "KGT_SERVER"])
async def test_a_server_that_serves_is_found_by_its_variable(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with running(tmp_path) as service:
        monkeypatch.setenv(name, service.address.replace("127.0.0.1", "0.0.0.0"))
        assert await asyncio.to_thread(main, []) == 0
        assert capsys.readouterr().out == f"{service.address}: SERVING\n"
        await service.probes.set(serving=False)
        assert await asyncio.to_thread(main, [service.address]) == 1
        assert capsys.readouterr().out == f"{service.address}: NOT_SERVING\n"


@pytest.mark.parametrize("names", [("kgt.example.org", "other.example.org"), ("192.0.2.1",)])
@pytest.mark.parametrize("asks_for_certificates", [False, True])
async def test_a_server_with_tls_is_asked_over_loopback_whatever_its_name(
    names: tuple[str, ...],
    asks_for_certificates: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    authority = Authority()
    certificate, key = authority.issue("kgt", names).written(tmp_path, "server")
    clients = replaced(tmp_path / "clients.crt", authority.certificate)
    files = TlsFiles(certificate, key, clients if asks_for_certificates else None)
    async with running(tmp_path, credentials=files.credentials()) as service:
        assert await asyncio.to_thread(main, [service.address]) == 1, "without a certificate"
        monkeypatch.setenv("KGT_TLS_CERTIFICATE", str(certificate))
        monkeypatch.setenv("KGT_TLS_KEY", str(key))
        assert await asyncio.to_thread(main, [service.address]) == 0
        assert capsys.readouterr().out.endswith(f"{service.address}: SERVING\n")
        replaced(certificate, Authority().issue("kgt", names).certificate)
        assert await asyncio.to_thread(main, [service.address]) == 1, "with another one"


@pytest.mark.parametrize("names", [(), ("spiffe://example.org/kgt",), None])
def test_a_certificate_that_cannot_be_used_is_reported_in_one_line(
    names: tuple[str, ...] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    certificate, key = Authority().issue("kgt", names or ()).written(tmp_path, "server")
    if names is None:
        certificate.unlink()
    monkeypatch.setenv("KGT_TLS_CERTIFICATE", str(certificate))
    monkeypatch.setenv("KGT_TLS_KEY", str(key))
    assert main(["127.0.0.1:1"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("kgt: the certificate cannot be used: ")
    assert printed.err.count("\n") == 1


def test_nobody_there_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["127.0.0.1:1"]) == 1
    assert capsys.readouterr().out == "127.0.0.1:1: UNAVAILABLE\n"


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:\uff15", "127.0.0.1:0"])
def test_what_is_not_an_address_is_reported_in_one_line(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([address]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("kgt: the address ")
    assert printed.err.count("\n") == 1
