"""The address of a model on another server, as KGT_MODEL has it. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from kgt.addresses import Address

_PREFIX = "openai+"
_EXAMPLE = "openai+https://HOST/v1#NAME"


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """Where the server's API is, without a slash at the end, and the model's name there.

    The name is empty if it was not given.
    """

    url: str
    name: str
    host: str
    port: int
    is_encrypted: bool

    @staticmethod
    def is_meant(model: str) -> bool:
        """Whether KGT_MODEL names a model on another server."""
        return model.startswith(_PREFIX)

    @staticmethod
    def parse(model: str) -> ModelAddress:
        """Parse KGT_MODEL. Raises ValueError, which does not repeat it: it may hold a password."""
        url, _, name = model.removeprefix(_PREFIX).partition("#")
        parts = urlsplit(url)  # raises ValueError for brackets that do not match
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError(f"a model on another server is {_EXAMPLE}")
        if parts.username is not None or parts.query:
            raise ValueError(
                f"a model on another server is {_EXAMPLE}, without user, password or query;"
                " the key goes into KGT_MODEL_KEY"
            )
        is_encrypted = parts.scheme == "https"
        port = parts.port or (443 if is_encrypted else 80)
        return ModelAddress(url.rstrip("/"), name, parts.hostname, port, is_encrypted)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return Address(f"{self.host}:{self.port}", self.host, self.port).is_loopback
