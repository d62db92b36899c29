"""The MCP server on stdio or on HTTP, and what may be bound."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import uvicorn
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl

from kgt.addresses import Address
from kgt.client import AsyncClient
from kgt.client.access import Access
from kgt.listening import listen, url_of
from kgt.mcp.identity import UserTokens, user_of_token
from kgt.mcp.tools import Tools

PATH = "/mcp"
_INSTRUCTIONS = """\
The user's own memory: what they have told, on top of general knowledge. Call `recall` before you
answer anything that may depend on who the user is, and put what it returns before your own
assumptions. When the user tells something about themselves, call `remember`; when they correct an
answer, call `correct`. When they ask what is known about them, call `what_do_you_know`."""


class NotLoopback(ValueError):
    """Without an identity, only this machine may reach the server."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Which service to call, and for whom: for one user, or for whoever a token belongs to."""

    service: str
    user: str | None = None
    tokens: UserTokens | None = None
    timeout_s: float = 30.0
    access: Access = field(default_factory=Access)
    """What this server proves to the service who it is with."""

    @contextlib.asynccontextmanager
    async def server(self, auth: AuthSettings | None = None) -> AsyncIterator[MCPServer]:
        """The server, connected to the service until the block ends."""
        async with AsyncClient(self.service, timeout_s=self.timeout_s, **self.access) as client:
            server = MCPServer(
                "kgt",
                title="KGT memory",
                instructions=_INSTRUCTIONS,
                log_level="WARNING",
                auth=auth,
                token_verifier=self.tokens,
            )
            Tools(client, self._whose).add_to(server)
            yield server

    async def on_stdio(self) -> None:
        """Serve one client over stdin and stdout."""
        async with self.server() as server:
            await server.run_stdio_async()

    async def on_http(self, address: Address) -> None:
        """Serve streamable HTTP until the process is told to stop. Raises NotLoopback, OSError."""
        if self.tokens is None and not address.is_loopback:
            raise NotLoopback(
                "is reachable from other machines: name a loopback address, or --tokens"
            )
        bound = listen(address)
        url = url_of(address, bound)
        async with self.server(_auth(url) if self.tokens else None) as server:
            # The SDK checks Host and Origin for a loopback address, so that no web page can call.
            app = server.streamable_http_app(streamable_http_path=PATH, host=address.host)
            config = uvicorn.Config(app, log_level="warning", access_log=False)
            print(f"listening on {url}{PATH}", flush=True)
            await uvicorn.Server(config).serve(sockets=[bound])

    def _whose(self) -> str:
        return self.user if self.user is not None else user_of_token()


def _auth(url: str) -> AuthSettings:
    """Every call needs a token. There is no authorization server: the file has the tokens."""
    return AuthSettings(issuer_url=AnyHttpUrl(url), resource_server_url=None)
