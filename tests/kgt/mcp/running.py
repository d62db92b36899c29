"""A real service with known answers, and the MCP server in front of it as a process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from testbed.processes import ROOT
from tests.kgt.http_process import ENVIRONMENT, http_process


def stdio(service: str, user: str, **environment: str) -> Client:
    """The SDK's client, which starts the server and talks to it over stdin and stdout."""
    arguments = ["-m", "kgt.mcp", "--user", user, "--server", service]
    return Client(
        StdioServerParameters(
            command=sys.executable, args=arguments, env=ENVIRONMENT | environment, cwd=ROOT
        )
    )


def http_server(service: str, *arguments: str) -> contextlib.AbstractContextManager[str]:
    """The URL of a server on HTTP, until the block ends."""
    return http_process("kgt.mcp", "--server", service, *arguments)


@contextlib.asynccontextmanager
async def with_token(url: str, token: str) -> AsyncIterator[Client]:
    """The SDK's client over HTTP, with a bearer token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool returns, as its schema says. Raises AssertionError if it failed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """What a model reads of a tool that fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    [content] = result.content
    assert content.type == "text"
    return content.text


def run_once(*arguments: str) -> tuple[int, str]:
    """The exit status of a server that does not start, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "kgt.mcp", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


def tokens_file(folder: Path, users: dict[str, str]) -> Path:
    """A file with these tokens and their users."""
    path = folder / "tokens"
    path.write_text("# who may call\n" + "".join(f"{t} {u}\n" for t, u in users.items()))
    return path
