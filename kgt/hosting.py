"""What the programs that stand in front of a service share: their flags, and how they end."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, for_client, named_address
from kgt.command.arguments import USER_VARIABLE, seconds

Serve = Callable[[argparse.Namespace], Awaitable[None]]
"""Serves what the command line says until it is left. Raises ValueError and OSError."""


def add_arguments(one: argparse.ArgumentParser, timeout_s: float) -> None:
    """Add the flags that say whose memory it is and where the service is."""
    one.add_argument(
        "-u", "--user", default=os.environ.get(USER_VARIABLE), help=f"the user ({USER_VARIABLE})"
    )
    one.add_argument(
        "--server", help=f"the service: host:port or unix:path ({VARIABLES[0]}; {DEFAULT_ADDRESS})"
    )
    one.add_argument("--timeout", type=seconds, default=timeout_s, help="seconds a call may take")


def service_of(options: argparse.Namespace) -> str:
    """The service's address: the flag's, the environment's, or the default. Raises ValueError."""
    return for_client(options.server or named_address(os.environ) or DEFAULT_ADDRESS).text


def hosted(program: str, options: argparse.Namespace, serve: Serve) -> int:
    """Serve until the process is stopped. Returns the exit status; a failure is one line."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    async def served() -> None:
        await serve(options)

    try:
        asyncio.run(served())
    except ValueError as error:
        return _failed(program, str(error), 2)
    except OSError as error:
        return _failed(program, f"{error.filename or options.http}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _failed(program: str, why: str, status: int) -> int:
    print(f"{program}: {why}", file=sys.stderr)
    return status
