"""Servers as real processes, started, killed and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
_STOP_S = 60


class ServerProcess:
    """A server in a process of its own, on a free port of the loopback interface."""

    def __init__(
        self, module: str, data: Path, *arguments: str, env: Mapping[str, str] | None = None
    ) -> None:
        """Start it and wait until it listens. Raises AssertionError with what it said when it does
        not."""
        command = [
            sys.executable,
            "-m",
            module,
            "--data",
            str(data),
            "--address",
            "127.0.0.1:0",
            *arguments,
        ]
        self.log = ""
        """What it logged, once it has ended."""
        # A file and no pipe: one that nobody reads would fill and stop the server.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        self.process = subprocess.Popen(
            command,
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
        """SIGKILL, if it still runs."""
        self.process.kill()
        self._end()

    def stop(self) -> tuple[int, str]:
        """SIGTERM, and (exit status, what it logged)."""
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
    """A running server, killed at the end if it still runs."""
    server = ServerProcess(module, data, *arguments, env=env)
    try:
        yield server
    finally:
        server.kill()
