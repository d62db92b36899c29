"""The console or the MCP server as a process of its own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from testbed.processes import ROOT

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("KGT_")}


@contextlib.contextmanager
def http_process(module: str, *arguments: str) -> Iterator[str]:
    """The URL that the module serves, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments, "--http", "127.0.0.1:0"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=60)
