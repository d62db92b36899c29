"""A command on a terminal of its own, typed at and read as a person would."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

from testbed.processes import ROOT

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")
_PATIENCE_S = 20


class Terminal:
    """What is typed goes to the process. `shown` is all that it has written, without controls."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process = process
        self._master = master
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """What a terminal does on Ctrl-C while a program does not read keys."""
        self._process.send_signal(signal.SIGINT)

    def wait_for(self, text: str) -> str:
        """All that is shown up to `text`, and that is then forgotten. Raises AssertionError."""
        while text not in self.shown:
            ready, _, _ = select.select([self._master], [], [], _PATIENCE_S)
            assert ready, f"{text!r} was not shown: {self.shown!r}"
            self.shown += _CONTROL.sub("", os.read(self._master, 65536).decode(errors="replace"))
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def status(self) -> int:
        """The exit status, once it ends."""
        return self._process.wait(timeout=_PATIENCE_S)


@contextlib.contextmanager
def on_terminal(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """The `kgt` command on a terminal. It is killed at the end if it still runs."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kgt", *arguments],
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        # A terminal that is a file descriptor does not say where its cursor is.
        env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **(env or {})},
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
