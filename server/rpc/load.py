"""How much the server takes on at once, and how long it waits for a caller. Refused at once is
better than late."""

from __future__ import annotations

from dataclasses import dataclass

from server.tuning.export_format import MAX_BYTES, MAX_LINES


@dataclass(frozen=True, slots=True)
class Load:
    """Bounds on what callers may occupy together."""

    calls: int = 1024
    """Calls under way, each of which may hold a message of 4 MiB; those in the model's queue are
    among them."""
    connection_calls: int = 512
    """Calls of one connection; its client makes further ones wait."""
    probes: int = 128
    """Calls of the health and reflection services beyond `calls`: probes are answered while the
    server is full."""
    idle_s: float = 30.0
    """Seconds between a caller's messages, and for a message to be taken."""
    imports: int = 8
    """Imports under way, of all users."""
    user_imports: int = 2
    """Imports under way, of one user."""
    import_s: float = 600.0
    """Seconds until an import has come in."""
    import_lines: int = MAX_LINES
    import_bytes: int = MAX_BYTES
    imports_bytes: int = 2 * MAX_BYTES
    """Bytes of all imports under way, most of them on disk."""
