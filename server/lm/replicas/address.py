"""Which replicas a server asks: KGT_MODEL=ray://HOST:PORT/NAME."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from server.errors import ModelUnusable

SCHEME = "ray://"
NAME = "kgt"
"""The application's name in Ray Serve, unless the address has another one."""


@dataclass(frozen=True, slots=True)
class ReplicasAddress:
    """A Ray cluster (the host and port of its control store), and an application in it."""

    cluster: str
    name: str = NAME

    @classmethod
    def parse(cls, text: str) -> ReplicasAddress:
        """Raises ModelUnusable."""
        parts = urlsplit(text)
        try:
            port = parts.port
        except ValueError:
            port = None
        name = parts.path.strip("/")
        if not text.startswith(SCHEME) or not parts.hostname or port is None or "/" in name:
            raise ModelUnusable(
                "KGT_MODEL: replicas of a model are named as ray://HOST:PORT or"
                " ray://HOST:PORT/NAME, with the address that `ray start --head` prints"
            )
        return cls(parts.netloc, name or NAME)
