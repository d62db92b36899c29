"""How much the server takes on at once, and how long it waits for a caller.

What is too much is refused at once, which is better than being late.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.graph.checks import MAX_TEXT_BYTES
from server.rpc.limits import MAX_MESSAGE_BYTES
from server.tuning.export_format import MAX_BYTES, MAX_LINES


@dataclass(frozen=True, slots=True)
class Load:
    """Bounds on what all callers together may occupy."""

    calls: int = 1024
    """Calls under way, including those in the model's queue. Each may hold a message of 4 MiB."""
    user_calls: int = 64
    """Calls under way, of one user."""
    connections: int = 4096
    """Connections. Further ones are closed as they come."""
    connection_calls: int = 512
    """Calls of one connection. Its client makes further ones wait."""
    connection_age_s: float = 3600.0
    """How old a connection gets. Clients open a new one without noticing."""
    connection_grace_s: float = 900.0
    """Seconds that calls on a connection of that age have to end."""
    connection_idle_s: float = 900.0
    """How long a connection may be without a call."""
    handshake_s: float = 20.0
    """Seconds that a new connection may take to speak HTTP/2, and TLS."""
    keepalive_s: float = 60.0
    """Seconds of silence after which a caller's machine is asked whether it is still there."""
    keepalive_timeout_s: float = 20.0
    """Seconds that it has to answer."""
    probes: int = 128
    """Calls of the health and reflection services, so that probes are answered even if the server
    has as many `calls` as it takes on."""
    idle_s: float = 30.0
    """Seconds that a caller may take to send the next message, or to receive one."""
    stream_s: float = 600.0
    """Seconds that a caller may keep a stream of responses waiting, all messages together."""
    message_bytes: int = MAX_MESSAGE_BYTES
    text_bytes: int = MAX_TEXT_BYTES
    """The longest query, answer or candidate."""
    exports: int = 8
    """Exports under way, of all users. Each holds a history in memory."""
    user_exports: int = 2
    """Exports under way, of one user."""
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
