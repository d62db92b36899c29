"""How the tests run the examples: as a reader of their README would."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping

from testbed.processes import ROOT
from tests.examples.endpoint import KEY

_LIMIT_S = 60


async def started(example: str, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
    """An example as a process of its own."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith("KGT_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        f"examples/{example}",
        *arguments,
        cwd=ROOT,
        env={**keep, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, **(env or {})},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


async def ran(
    example: str, *arguments: str, said: str = "", env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """An example's exit status, what it printed, and what it complained of."""
    process = await started(example, *arguments, env=env)
    printed, complaint = await asyncio.wait_for(process.communicate(said.encode()), _LIMIT_S)
    return process.returncode or 0, printed.decode(), complaint.decode()
