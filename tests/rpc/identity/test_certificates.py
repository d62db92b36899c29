"""Who may call with which certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kgt.client import AsyncClient
from kgt.client.access import Access
from kgt.errors import DeadlineExceeded, PermissionDenied, Unavailable
from server.errors import InvalidSetting
from server.rpc.identity.certificates import CertificateCallers, NameRule, UnusableRule, names_in
from server.rpc.tls import TlsFiles
from testbed.keys import LOOPBACK, Authority, replaced
from tests.rpc.running import ENJOY, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULE = r"""
user = 'spiffe://example\.org/user/(?P<user>[^/]+)'
services = ["spiffe://example.org/chat", "old-service"]
operators = ["ops.example.org"]
"""
USER = "spiffe://example.org/user/"


@dataclass(frozen=True, slots=True)
class Secured:
    """A service whose callers have certificates of `authority`."""

    service: Running
    authority: Authority
    rule: Path

    def access(self, name: str, *names: str, authority: Authority | None = None) -> Access:
        """What a client with these names connects with."""
        own = (authority or self.authority).issue(name, names)
        return {
            "root_certificates": self.authority.certificate,
            "certificate": own.certificate,
            "key": own.key,
        }

    def client(self, name: str, *names: str) -> AsyncClient:
        return AsyncClient(self.service.address, timeout_s=10, **self.access(name, *names))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    folder, authority = tmp_path_factory.mktemp("mtls"), Authority()
    rule = replaced(folder / "names.toml", RULE)
    own = authority.issue("kgt", LOOPBACK)
    files = TlsFiles(
        *own.written(folder, "server"), replaced(folder / "authority.crt", authority.certificate)
    )
    async with running(
        folder,
        callers=CertificateCallers(rule),
        credentials=files.credentials(),
        access={
            "root_certificates": authority.certificate,
            "certificate": own.certificate,
            "key": own.key,
        },
    ) as started:
        yield Secured(started, authority, rule)


async def test_a_user_acts_for_no_other(secured: Secured) -> None:
    async with secured.client("anything", f"{USER}alice") as alice:
        assert (await alice.answer(user="alice", query=ENJOY)).text == "meat"
        for other in ("bob", "anything", "alicE"):
            with pytest.raises(PermissionDenied) as refused:
                await alice.answer(user=other, query=ENJOY)
            assert refused.value.reason == "NOT_THIS_USER"


@pytest.mark.parametrize("names", [("x", "spiffe://example.org/chat"), ("old-service",)])
async def test_a_service_acts_for_every_user(secured: Secured, names: tuple[str, ...]) -> None:
    async with secured.client(*names) as service:
        for user in ("alice", "bob"):
            await service.list_facts(user=user)


@pytest.mark.parametrize(
    "names",
    [
        ("alice",),
        ("old-service", "spiffe://example.org/other"),
        ("x", f"{USER}alice/admin"),
        ("x", f"{USER}alice", f"{USER}bob"),
        ("x", f"https://evil.example/{USER}alice"),
        ("x", "ops.example.org"),
    ],
)
async def test_a_certificate_that_names_no_user_acts_for_none(
    secured: Secured, names: tuple[str, ...]
) -> None:
    async with secured.client(*names) as other:
        for user in ("alice", "bob", "x"):
            with pytest.raises(PermissionDenied):
                await other.list_facts(user=user)


async def test_without_a_certificate_of_the_authority_nothing_connects(secured: Secured) -> None:
    stranger: Access = secured.access("x", f"{USER}alice", authority=Authority())
    only_roots: Access = {"root_certificates": secured.authority.certificate}
    for access in (stranger, only_roots, Access()):
        async with AsyncClient(secured.service.address, timeout_s=0.5, **access) as client:
            with pytest.raises((Unavailable, DeadlineExceeded)):
                await client.list_facts(user="alice")


async def test_the_rule_is_read_again_when_it_changes(secured: Secured) -> None:
    async with secured.client("x", f"{USER}carol") as carol:
        await carol.list_facts(user="carol")
        replaced(secured.rule, "services = []")
        with pytest.raises(PermissionDenied):
            await carol.list_facts(user="carol")
        replaced(secured.rule, "user = '('")
        with pytest.raises(PermissionDenied):
            await carol.list_facts(user="carol")
        replaced(secured.rule, RULE)
        await carol.list_facts(user="carol")


# The rule itself


@pytest.mark.parametrize(
    "text",
    ["=", "user = 1", "user = '('", "user = 'alice'", "services = 'a'", "operators = [1]", "a = 1"],
)
async def test_what_is_not_a_rule_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableRule):
        NameRule.parse(text.encode())
    with pytest.raises(InvalidSetting, match="KGT_AUTH_NAMES: "):
        CertificateCallers(replaced(tmp_path / "names.toml", text))


async def test_an_empty_rule_lets_nobody_do_anything() -> None:
    identity = NameRule.parse(b"").identity(["alice"])
    assert (identity.user, identity.any_user, identity.operator) == (None, False, False)


@pytest.mark.parametrize(
    ("context", "names"),
    [
        ({"x509_common_name": [b"a"]}, ["a"]),
        ({"x509_common_name": [b"a"], "x509_subject_alternative_name": [b"b", b"c"]}, ["b", "c"]),
        ({}, []),
    ],
)
async def test_the_common_name_counts_only_alone(context: Any, names: list[str]) -> None:
    assert names_in(context) == names
