"""python -m kgt.mcp: a user's memory as tools of the Model Context Protocol.

On stdin and stdout by default, for an assistant that starts it; with --http on a loopback address.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, Address, for_client, named_address
from kgt.client import access_in
from kgt.command.arguments import USER_VARIABLE
from kgt.mcp.identity import UserTokens
from kgt.mcp.serving import Serving

DEFAULT_HTTP = "127.0.0.1:8765"


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    one = argparse.ArgumentParser(prog="python -m kgt.mcp", description=(__doc__ or "").strip())
    one.add_argument(
        "-u", "--user", default=os.environ.get(USER_VARIABLE), help=f"the user ({USER_VARIABLE})"
    )
    one.add_argument(
        "--server", help=f"the service: host:port or unix:path ({VARIABLES[0]}; {DEFAULT_ADDRESS})"
    )
    one.add_argument("--timeout", type=float, default=30.0, help="seconds a call may take")
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
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    options = parser().parse_args(arguments)
    try:
        serving = _serving(options)
        if options.http is None:
            asyncio.run(serving.on_stdio())
        else:
            asyncio.run(serving.on_http(Address.parse(options.http)))
    except ValueError as error:
        return _failed(str(error), 2)
    except OSError as error:
        return _failed(f"{error.filename or options.http}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _serving(options: argparse.Namespace) -> Serving:
    """What is served, checked. Raises ValueError."""
    service = for_client(options.server or named_address(os.environ) or DEFAULT_ADDRESS).text
    access = access_in(os.environ)
    if options.tokens is not None:
        if options.http is None:
            raise ValueError("--tokens is for --http: over stdio there is one user, --user")
        tokens = UserTokens.read(options.tokens)
        return Serving(service, tokens=tokens, timeout_s=options.timeout, access=access)
    if not options.user:
        raise ValueError(f"whose memory is it? Name --user or {USER_VARIABLE}")
    return Serving(service, options.user, timeout_s=options.timeout, access=access)


def _failed(why: str, status: int) -> int:
    print(f"kgt.mcp: {why}", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
