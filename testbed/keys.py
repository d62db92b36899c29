"""Keys that are made here, for tests and the demo: of whoever issues tokens, and for TLS."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = ("localhost", "127.0.0.1")
_LIFETIME_S = 3600
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whoever issues tokens: a key, and what all of its tokens say."""

    name: str = "https://issuer.example"
    audience: str = "kgt"
    key_id: str = "first"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def token(self, user: str, *scopes: str, **claims: Any) -> str:
        """A token of `user`. `claims` take the place of what it would say, and None removes it."""
        said = {
            "iss": self.name,
            "aud": self.audience,
            "sub": user,
            "exp": int(time.time()) + _LIFETIME_S,
            "scope": " ".join(scopes),
        } | claims
        kept = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(kept, self.key, "ES256", headers={"kid": self.key_id})

    @property
    def public_pem(self) -> bytes:
        """The public key."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public key as a member of a JSON Web Key Set."""
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**jwk, "kid": self.key_id, "use": "sig", "alg": "ES256"}


def key_set(*issuers: Issuer) -> str:
    """The JSON Web Key Set of the issuers' public keys."""
    return json.dumps({"keys": [issuer.public_jwk for issuer in issuers]})


def replaced(path: Path, content: bytes | str) -> Path:
    """Write a file that takes the place of the one that is there, as whoever rotates keys does."""
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content if isinstance(content, bytes) else content.encode())
    return partial.replace(path)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    def written(self, folder: Path, name: str) -> tuple[Path, Path]:
        """The two files, in `folder`."""
        return (
            replaced(folder / f"{name}.crt", self.certificate),
            replaced(folder / f"{name}.key", self.key),
        )


class Authority:
    """An authority that signs certificates for servers and clients."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key.public_key())
        self._own = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        ).sign(self._key, hashes.SHA256())
        self.certificate = self._own.public_bytes(Encoding.PEM)

    def issue(self, common_name: str, names: Sequence[str] = ()) -> Certificate:
        """A certificate for a server or a client. A name may be an address or a URI, too."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self._name, key.public_key())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            alternative = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return Certificate(
            builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
