"""python -m kgt.mcp: a user's memory as tools of the Model Context Protocol.

On stdin and stdout by default, for an assistant that starts it; with --http on a loopback address.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from kgt.addresses import Address
from kgt.client import access_in
from kgt.command.arguments import USER_VARIABLE, Parser
from kgt.hosting import add_arguments, hosted, service_of
from kgt.mcp.identity import UserTokens
from kgt.mcp.serving import Serving

DEFAULT_HTTP = "127.0.0.1:8765"


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    one = Parser(prog="python -m kgt.mcp", description=(__doc__ or "").strip())
    add_arguments(one, timeout_s=30.0)
    one.add_argument(
        "--http",
        nargs="?",
        const=DEFAULT_HTTP,
        metavar="HOST:PORT",
        help=f"serve streamable HTTP instead of stdio ({DEFAULT_HTTP} if no address is named)",
    )
    one.add_argument(
        "--tokens",
        type=Path,
        metavar="FILE",
        help="for HTTP, instead of a user: a line for each user, with a bearer token and the user",
    )
    return one


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the client leaves or the process is stopped. Returns the exit status."""
    return hosted("kgt.mcp", parser().parse_args(arguments), _serve)


async def _serve(options: argparse.Namespace) -> None:
    serving = _serving(options)
    if options.http is None:
        await serving.on_stdio()
    else:
        await serving.on_http(Address.parse(options.http))


def _serving(options: argparse.Namespace) -> Serving:
    """What is served, checked. Raises ValueError."""
    service = service_of(options)
    access = access_in(os.environ)
    if options.tokens is not None:
        if options.http is None:
            raise ValueError("--tokens is for --http: over stdio there is one user, --user")
        tokens = UserTokens.read(options.tokens)
        return Serving(service, tokens=tokens, timeout_s=options.timeout, access=access)
    if not options.user:
        raise ValueError(f"whose memory is it? Name --user or {USER_VARIABLE}")
    return Serving(service, options.user, timeout_s=options.timeout, access=access)


if __name__ == "__main__":
    raise SystemExit(main())
