"""Public keys in files: which are taken, which are refused, and how they rotate."""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.warnings import InsecureKeyLengthWarning

from server.errors import InvalidSetting
from server.rpc.errors import TokenInvalid
from server.rpc.identity.callers import Identity
from server.rpc.identity.keys import ALGORITHMS, KeyFile, UnusableKeys, keys_in
from server.rpc.identity.tokens import TokenCallers, TokenRules
from testbed.keys import Issuer, key_set, replaced

FIRST = Issuer()
SECOND = replace(FIRST, key_id="second", key=ec.generate_private_key(ec.SECP256R1()))
PRIVATE = FIRST.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_key_verifies_the_algorithms_of_its_kind_only() -> None:
    held = keys_in(
        pem(rsa.generate_private_key(65537, 2048))
        + pem(ed25519.Ed25519PrivateKey.generate())
        + pem(ec.generate_private_key(ec.SECP384R1()))
    )
    assert [sorted(key.algorithms) for key in held] == [
        ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
        ["EdDSA"],
        ["ES384"],
    ]
    assert not {name for name in ALGORITHMS if name.startswith("HS") or name.lower() == "none"}


def test_members_for_something_else_are_left_out() -> None:
    jwk = FIRST.public_jwk
    others = [
        {**jwk, "use": "enc"},
        {**jwk, "kid": "other", "alg": "ES384"},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTE", "alg": "HS256"},
        {"kty": "new"},
        {**jwk, "alg": ["ES256"]},
        "text",
    ]
    (key,) = keys_in(json.dumps({"keys": [*others, jwk]}).encode())
    assert (key.id, *key.algorithms) == ("first", "ES256")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": []}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}',
        PRIVATE,
        FIRST.public_pem + PRIVATE,
        json.dumps({"keys": [{**FIRST.public_jwk, "d": "AQAB"}]}).encode(),
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ],
)
def test_what_is_not_public_keys_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnusableKeys):
        keys_in(data)
    path = tmp_path / "keys"
    path.write_bytes(data)
    with pytest.raises(InvalidSetting, match="KGT_AUTH_KEYS: "):
        KeyFile(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read"):
        KeyFile(tmp_path / "none")


async def test_keys_rotate_with_their_file(tmp_path: Path) -> None:
    path = replaced(tmp_path / "keys", key_set(FIRST))
    keys = KeyFile(path)
    assert [key.id for key in await keys.find("first")] == ["first"]
    assert await keys.find("second") == []
    replaced(path, key_set(FIRST, SECOND))
    assert [key.id for key in await keys.find("second")] == ["second"]
    assert len(await keys.find(None)) == 2, "a token that names no key may have any"
    replaced(path, key_set(SECOND))
    assert await keys.find("first") == []


async def test_a_file_that_cannot_be_read_any_more_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = replaced(tmp_path / "keys", FIRST.public_pem)
    keys = KeyFile(path)
    for content in (b"{", PRIVATE):
        replaced(path, content)
        caplog.clear()
        for _ in range(3):
            assert len(await keys.find("any")) == 1
        assert [r.levelno for r in caplog.records] == [logging.WARNING]
    path.unlink()
    assert len(await keys.find("any")) == 1
    replaced(path, SECOND.public_pem)
    (key,) = await keys.find("any")
    assert key.key == SECOND.key.public_key()


# What they verify


def signed_with(algorithm: str, bits: int = 2048) -> tuple[str, bytes]:
    """A token of Alice, and the public key of whoever signed it."""
    key: Any = (
        ed25519.Ed25519PrivateKey.generate()
        if algorithm == "EdDSA"
        else rsa.generate_private_key(65537, bits)
    )
    claims = jwt.decode(FIRST.token("alice"), options={"verify_signature": False})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.encode(claims, key, algorithm), pem(key)


async def identified(token: str, public: bytes, allowed: set[str], folder: Path) -> Identity:
    rules = TokenRules(FIRST.name, FIRST.audience, frozenset(allowed), 0.0)
    callers = TokenCallers(rules, KeyFile(replaced(folder / "keys", FIRST.public_pem + public)))
    call: Any = SimpleNamespace(invocation_metadata=lambda: [("authorization", f"bearer {token}")])
    return await callers.identify(call)


@pytest.mark.parametrize("algorithm", ["RS256", "PS512", "EdDSA"])
async def test_each_allowed_algorithm_verifies_and_no_other(algorithm: str, tmp_path: Path) -> None:
    token, public = signed_with(algorithm)
    assert (await identified(token, public, {algorithm}, tmp_path)).user == "alice"
    with pytest.raises(TokenInvalid):
        await identified(token, public, {"ES256", "RS384"}, tmp_path)
    other, _ = signed_with(algorithm)
    with pytest.raises(TokenInvalid):
        await identified(other, public, {algorithm}, tmp_path)


async def test_a_short_key_verifies_nothing(tmp_path: Path) -> None:
    token, public = signed_with("RS256", bits=1024)
    with pytest.raises(TokenInvalid):
        await identified(token, public, {"RS256"}, tmp_path)
