"""Servers as real processes, started and stopped by tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


class ServerProcess:
    """A server in a process of its own."""

    def __init__(self, module: str, data: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", module, "--data", str(data), "--address", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "listening on" not in line:
            _, complaint = self.process.communicate(timeout=60)
            raise AssertionError(f"the server did not start: {complaint}")
        self.address = line.split()[-1]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)

    def stop(self) -> tuple[int, str]:
        """SIGTERM, and (exit status, what it logged)."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, log


@contextlib.contextmanager
def server_process(
    module: str, data: Path, *arguments: str, env: dict[str, str] | None = None
) -> Iterator[ServerProcess]:
    """A running server, killed at the end if it still runs."""
    server = ServerProcess(module, data, *arguments, env=env)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
