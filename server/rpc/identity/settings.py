"""Who may call, and TLS: the settings of `server.rpc.identity` and `server.rpc.tls`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kgt.addresses import Address
from server.rpc.identity.keys import ALGORITHMS
from server.rpc.identity.tokens import TokenRules
from server.rpc.tls import TlsFiles

_NEEDED = {
    "none": (),
    "jwt": ("auth_issuer", "auth_audience", "auth_keys"),
    "mtls": ("auth_names", "tls_certificate", "tls_client_ca"),
}
_SCHEMES = ("https", "http")


class IdentitySettings(BaseSettings):
    """How callers prove who they are, and what the listener proves to them."""

    model_config = SettingsConfigDict(
        env_prefix="KGT_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    auth: Literal["none", "jwt", "mtls"] = Field(
        "none",
        description="how callers prove who they are: not at all, by a token or by a certificate",
    )
    auth_issuer: str = Field("", description="who issues tokens: their iss; required with jwt")
    auth_audience: str = Field(
        "", description="this service in tokens: their aud; required with jwt"
    )
    auth_keys: str = Field(
        "",
        description="the issuer's public keys: a file (JWKS or PEM) or the https address of a JWKS;"
        " required with jwt",
    )
    auth_algorithms: str = Field(
        "RS256,PS256,ES256,EdDSA", description="what tokens may be signed with"
    )
    auth_leeway_s: float = Field(
        30.0, ge=0, le=300, description="seconds by which clocks may differ"
    )
    auth_names: Path | None = Field(
        None,
        description="what the names in clients' certificates may do (TOML); required with mtls",
    )
    tls_certificate: Path | None = Field(
        None, description="the server's certificate (PEM); it is read again when it changes"
    )
    tls_key: Path | None = Field(None, description="the certificate's private key (PEM)")
    tls_client_ca: Path | None = Field(
        None,
        description="authorities of clients' certificates (PEM); clients then need a certificate",
    )

    @field_validator("auth_names", "tls_certificate", "tls_key", "tls_client_ca")
    @classmethod
    def _expand_files(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None

    @field_validator("auth_keys")
    @classmethod
    def _not_in_the_clear(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "http" and not Address(value, parts.hostname or "", 0).is_loopback:
            raise ValueError("whoever can change what comes by http could sign tokens: use https")
        return value

    @field_validator("auth_algorithms")
    @classmethod
    def _only_with_private_keys(cls, value: str) -> str:
        named = _listed(value)
        if not named or not named <= ALGORITHMS:
            raise ValueError(f"is a list of {', '.join(sorted(ALGORITHMS))}")
        return value

    @model_validator(mode="after")
    def _whole(self) -> IdentitySettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("KGT_TLS_CERTIFICATE and KGT_TLS_KEY belong together: set both")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("KGT_TLS_CLIENT_CA needs KGT_TLS_CERTIFICATE and KGT_TLS_KEY")
        missing = [f"KGT_{n.upper()}" for n in _NEEDED[self.auth] if not getattr(self, n)]
        if missing:
            raise ValueError(f"KGT_AUTH={self.auth} needs {', '.join(missing)}")
        return self

    @property
    def token_rules(self) -> TokenRules:
        """What a token must be."""
        return TokenRules(
            self.auth_issuer,
            self.auth_audience,
            _listed(self.auth_algorithms),
            self.auth_leeway_s,
        )

    @property
    def keys_have_an_address(self) -> bool:
        """Whether the issuer's keys are fetched from an address, and not read from a file."""
        return urlsplit(self.auth_keys).scheme in _SCHEMES

    @property
    def tls_files(self) -> TlsFiles | None:
        """The files of the listener, or None without TLS."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_client_ca)


def _listed(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())
