"""Servers as real processes: started, killed, stopped, and waited for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The repository's root."""
_STOP_S = 60
_PATIENCE_S = 300.0


class ServerProcess:
    """A server in a process of its own, on a free port of the loopback interface."""

    def __init__(
        self, module: str, data: Path, *arguments: str, env: Mapping[str, str] | None = None
    ) -> None:
        """Start it and wait until it listens.

        Raises AssertionError, with what the server said, if it does not.
        """
        command = [sys.executable, "-m", module, "--data", str(data)]
        address = ["--address", "127.0.0.1:0"]
        self.log = ""
        """What it logged, once it has ended."""
        # A file, not a pipe: a pipe that nobody reads would fill up and stop the server.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        self.process = subprocess.Popen(
            [*command, *address, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **(env or {})},
        )
        try:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            if "listening on" not in line:
                self._end()
                raise AssertionError(f"the server did not start: {self.log}")
        except BaseException:
            self.kill()
            raise
        self.address = line.split()[-1]

    def kill(self) -> None:
        """Send SIGKILL, if it still runs."""
        self.process.kill()
        self._end()

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM. Returns (exit status, what it logged)."""
        self.process.send_signal(signal.SIGTERM)
        self._end()
        return self.process.returncode, self.log

    def _end(self) -> None:
        self.process.communicate(timeout=_STOP_S)
        if not self._log.closed:
            self._log.seek(0)
            self.log = self._log.read().decode(errors="replace")
            self._log.close()


@contextlib.contextmanager
def server_process(
    module: str, data: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """A running server. It is killed at the end if it still runs."""
    server = ServerProcess(module, data, *arguments, env=env)
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, limit_s: float = _PATIENCE_S) -> None:
    """Ask until `condition` is true. Raises AssertionError after `limit_s`."""
    end = time.monotonic() + limit_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"waited {limit_s:g} s for {what}"
        pause.wait(0.05)
