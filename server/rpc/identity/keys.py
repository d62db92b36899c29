"""The public keys of whoever issues tokens, from a file.

A file holds a JSON Web Key Set (RFC 7517) or public keys in PEM.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from server.errors import InvalidSetting
from server.rpc.identity.watched import Watched

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_EDWARDS = frozenset({"EdDSA"})
ALGORITHMS = _RSA | frozenset(_CURVES.values()) | _EDWARDS
"""What a signature may be made with: only what needs a private key (RFC 7518)."""

_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)
_PUBLIC = b"PUBLIC KEY"

Public: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey


class UnusableKeys(ValueError):
    """What should hold public keys holds none, or a private one."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, and the algorithms whose signatures it verifies."""

    key: Public
    algorithms: frozenset[str]
    id: str | None = None


class Keys(Protocol):
    """Where public keys come from."""

    async def find(self, key_id: str | None) -> Sequence[PublicKey]:
        """The keys that a token which names `key_id` may be signed with. Raises KeysUnavailable."""
        ...


class KeyFile:
    """The keys of a file, which is read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidSetting."""
        self._path = path
        self._keys = Watched([path], self._read)

    async def find(self, key_id: str | None) -> Sequence[PublicKey]:
        return fitting(self._keys.current(), key_id)

    def _read(self, contents: Sequence[bytes]) -> Sequence[PublicKey]:
        try:
            return keys_in(contents[0])
        except UnusableKeys as error:
            raise InvalidSetting(f"KGT_AUTH_KEYS: {self._path} {error}") from error


def fitting(keys: Iterable[PublicKey], key_id: str | None) -> list[PublicKey]:
    """The keys of this id, or all where the token or the key has none."""
    return [key for key in keys if None in (key_id, key.id) or key.id == key_id]


def keys_in(data: bytes) -> list[PublicKey]:
    """The keys of a file. Raises UnusableKeys."""
    if b"-----BEGIN " in data:
        return _usable(_pem_keys(data))
    try:
        document = json.loads(data)
    except ValueError as error:
        raise UnusableKeys("holds neither a JSON Web Key Set nor public keys in PEM") from error
    return keys_of(document)


def keys_of(document: object) -> list[PublicKey]:
    """The keys of a JSON Web Key Set. Raises UnusableKeys.

    Those that are for something else, or of a kind that is not known here, are left out, as RFC
    7517 says.
    """
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise UnusableKeys("is not a JSON Web Key Set")
    return _usable(_jwk_keys(members))


def _usable(found: Iterator[PublicKey]) -> list[PublicKey]:
    keys = [key for key in found if key.algorithms]
    if not keys:
        raise UnusableKeys("holds no public key that verifies signatures")
    return keys


def _pem_keys(data: bytes) -> Iterator[PublicKey]:
    for block in _PEM.finditer(data):
        if block[1] != _PUBLIC:
            raise UnusableKeys("holds something other than public keys: name a file without it")
        try:
            key = load_pem_public_key(block[0])
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UnusableKeys("holds a public key that cannot be read") from error
        if isinstance(key, Public):
            yield PublicKey(key, _algorithms(key))


def _jwk_keys(members: list[Any]) -> Iterator[PublicKey]:
    for member in members:
        if not isinstance(member, dict) or member.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(member).key
        except (jwt.PyJWTError, TypeError):
            continue
        if isinstance(key, bytes):  # a shared secret: whoever verifies with it could sign with it
            continue
        if not isinstance(key, Public):
            raise UnusableKeys("holds a private key: name a file without it")
        algorithms, only = _algorithms(key), member.get("alg")
        yield PublicKey(key, algorithms & {only} if only else algorithms, member.get("kid"))


def _algorithms(key: Public) -> frozenset[str]:
    match key:
        case RSAPublicKey():
            return _RSA
        case EllipticCurvePublicKey():
            named = _CURVES.get(key.curve.name)
            return frozenset({named} if named else ())
        case _:
            return _EDWARDS
