"""The listener's certificates: what is refused, and how they are replaced while it serves."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from kgt.client import AsyncClient
from kgt.client.access import Access
from server.errors import InvalidSetting
from server.rpc.tls import TlsFiles
from testbed.keys import LOOPBACK, Authority, replaced
from tests.rpc.running import Running, running


async def shown(service: Running) -> bytes:
    """The certificate that the server shows to a new client."""
    host, _, port = service.address.rpartition(":")
    return (await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))).encode()


async def test_a_new_certificate_is_used_without_a_restart_once_its_key_is_there(
    tmp_path: Path,
) -> None:
    authority = Authority()
    first, second = (authority.issue("kgt", LOOPBACK) for _ in range(2))
    files = TlsFiles(*first.written(tmp_path, "server"))
    access: Access = {"root_certificates": authority.certificate}
    async with running(tmp_path, credentials=files.credentials(), access=access) as service:
        await service.client.list_facts(user="alice")
        assert await shown(service) == first.certificate
        replaced(files.certificate, second.certificate)
        assert await shown(service) == first.certificate
        replaced(files.key, second.key)
        assert await shown(service) == second.certificate
        await service.client.list_facts(user="alice")  # over the connection of before
        async with AsyncClient(service.address, **access) as other:
            await other.list_facts(user="alice")


@pytest.mark.parametrize("name", ["certificate", "key", "client_ca"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_files_that_cannot_be_used_are_named_by_their_setting(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    authority = Authority()
    certificate, key = authority.issue("kgt", LOOPBACK).written(tmp_path, "server")
    files = TlsFiles(certificate, key, replaced(tmp_path / "authority", authority.certificate))
    files.credentials()
    path: Path = getattr(files, name)
    if content is None:
        path.unlink()
    else:
        replaced(path, content)
    named = "cannot be read" if content is None else f"KGT_TLS_{name.upper()}: "
    with pytest.raises(InvalidSetting, match=named):
        files.credentials()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    authority = Authority()
    certificate, _ = authority.issue("kgt", LOOPBACK).written(tmp_path, "server")
    _, other = authority.issue("kgt", LOOPBACK).written(tmp_path, "other")
    with pytest.raises(InvalidSetting, match="is not the key of"):
        TlsFiles(certificate, other).credentials()
