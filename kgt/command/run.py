"""The command line from arguments to exit status: every failure is one line on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, InvalidAddress, for_client, named_address
from kgt.client import Client, access_in
from kgt.command.arguments import NotConfirmed, WrongUsage
from kgt.command.parser import parser
from kgt.command.telling import failure
from kgt.errors import CallError
from kgt.output import Output, drop_unwritten, forgive_streams, visible


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 1 for a failed call, 2 for wrong usage."""
    forgive_streams()
    options = parser().parse_args(arguments)
    try:
        server = options.server or _server_in_environment()
        with _client(server, options.timeout) as client:
            options.handler(client, options, Output(options.json))
        sys.stdout.flush()  # here, where a full disk can still be reported
    except CallError as error:
        return _failed(failure(error))
    except WrongUsage as error:
        return _failed(str(error), 2)
    except BrokenPipeError:  # the reader has seen enough
        drop_unwritten()
    except (NotConfirmed, ValueError) as error:  # ValueError: no message can hold this value
        return _failed(str(error))
    except OSError as error:
        drop_unwritten()
        return _failed(_reason(error))
    return 0


def _client(server: str, timeout_s: float) -> Client:
    """A client with the environment's token and certificates. Raises WrongUsage."""
    try:
        return Client(server, timeout_s=timeout_s, **access_in(os.environ))
    except OSError as error:
        raise WrongUsage(_reason(error)) from error
    except ValueError as error:
        raise WrongUsage(str(error)) from error


def _server_in_environment() -> str:
    """The server that the environment names. Raises WrongUsage."""
    try:
        return for_client(named_address(os.environ) or DEFAULT_ADDRESS).text
    except InvalidAddress as error:
        raise WrongUsage(f"the server's address {error} ({', '.join(VARIABLES)})") from error


def _failed(why: str, status: int = 1) -> int:
    print(f"kgt: {visible(why)}", file=sys.stderr)
    return status


def _reason(error: OSError) -> str:
    why = error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename else why
