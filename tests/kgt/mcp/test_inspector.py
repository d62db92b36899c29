"""The protocol's own inspector, where npm has it, calls the tools as any other client would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from testbed.processes import ROOT
from tests.kgt.http_process import ENVIRONMENT
from tests.rpc.running import FEED

INSPECTOR = "@modelcontextprotocol/inspector@0.15.0"


@pytest.fixture(scope="module")
def npm() -> list[str]:
    """The beginning of a command that runs what the inspector's package brings."""
    found = shutil.which("npm")
    if found is None:
        pytest.skip("npm was not found")
    command = [found, "exec", "--prefer-offline", "--yes", f"--package={INSPECTOR}", "--"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("npm does not have the inspector")
    return command


def asked(npm: list[str], service: str, *arguments: str) -> Any:
    """What the inspector prints about a server that it starts."""
    variables = ["-e", f"KGT_SERVER={service}", "-e", "KGT_USER=inspector"]
    server = [sys.executable, "-m", "kgt.mcp"]
    done = subprocess.run(
        [*npm, "mcp-inspector", "--cli", *variables, *server, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.mark.story
def test_the_inspector_lists_and_calls_the_tools(npm: list[str], service: str) -> None:
    tools = asked(npm, service, "--method", "tools/list")["tools"]
    assert {"recall", "correct", "undo"} <= {tool["name"] for tool in tools}
    call = ("--method", "tools/call", "--tool-name")
    question = ("--tool-arg", f"question={FEED}")
    made = asked(npm, service, *call, "correct", *question, "--tool-arg", "answer=carrots")
    assert made["structuredContent"]["learned"] is True
    found = asked(npm, service, *call, "recall", *question)
    assert "- my dog likes carrots" in found["structuredContent"]["context"]
