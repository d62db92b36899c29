"""How the tests run commands and read what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from testbed.processes import ROOT
from tests.rpc.running import ENJOY

Run = Callable[..., str]


def document(printed: str) -> Mapping[str, Any]:
    """The one JSON document that was printed."""
    assert printed.count("\n") == 1
    parsed: Mapping[str, Any] = json.loads(printed)
    return parsed


def corrected(run: Run, answer: str = "vegetables") -> str:
    """Makes a correction; returns the edit's id."""
    return str(document(run("personalize", "--json", ENJOY, answer))["edit"]["id"])


def kgt(
    address: str,
    *arguments: str,
    stdout: Any,
    user: str = "somebody",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "kgt", *arguments, "-u", user, "--server", address]
    return subprocess.run(
        command,
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(env or {})},
    )
