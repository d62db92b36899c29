"""How much the server takes on at once, and how long it waits for a caller.

What is too much is refused at once, which is better than being late.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.tuning.export_format import MAX_BYTES, MAX_LINES


@dataclass(frozen=True, slots=True)
class Load:
    """Bounds on what all callers together may occupy."""

    calls: int = 1024
    """Calls under way, including those in the model's queue. Each may hold a message of 4 MiB."""
    connection_calls: int = 512
    """Calls of one connection. Its client makes further ones wait."""
    probes: int = 128
    """Calls of the health and reflection services, so that probes are answered even if the server
    has as many `calls` as it takes on."""
    idle_s: float = 30.0
    """Seconds that a caller may take to send the next message, or to receive one."""
    imports: int = 8
    """Imports under way, of all users."""
    user_imports: int = 2
    """Imports under way, of one user."""
    import_s: float = 600.0
    """Seconds that an import may take to come in."""
    import_lines: int = MAX_LINES
    import_bytes: int = MAX_BYTES
    imports_bytes: int = 2 * MAX_BYTES
    """Bytes of all imports under way. Most of them are on disk."""
