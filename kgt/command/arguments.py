"""What the commands share: their common flags, how values are checked, and what wrong usage is."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from typing import NoReturn

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, InvalidAddress, for_client
from kgt.client import DEFAULT_TIMEOUT_S, Client
from kgt.output import Output, visible

Handler = Callable[[Client, argparse.Namespace, Output], None]
"""Does what a command says. Its docstring is the example in the command's help."""

USER_VARIABLE = "KGT_USER"
_LONGEST_TIMEOUT_S = 7 * 86_400.0


class WrongUsage(Exception):
    """Something named on the command line, or in the environment, cannot be used."""


class NotConfirmed(Exception):
    """A question was not answered with yes."""


class Parser(argparse.ArgumentParser):
    """Reports an error in one line, with status 2. `--help` says how a command is used."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {visible(message)}\n")


class Commands:
    """The commands of a parser. All of them take a user, a server and a timeout."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        self, name: str, handler: Handler, help: str, *, for_programs: bool = True
    ) -> argparse.ArgumentParser:
        """The parser of a new command, to which its own arguments are added.

        What is also `for_programs` takes `--json`.
        """
        one: argparse.ArgumentParser = self._commands.add_parser(
            name, help=help, description=help, epilog=f"example: {handler.__doc__}"
        )
        one.set_defaults(handler=handler)
        user = os.environ.get(USER_VARIABLE)
        one.add_argument(
            "-u", "--user", default=user, required=user is None, help=f"the user ({USER_VARIABLE})"
        )
        one.add_argument(
            "--server",
            type=_server,
            help=f"host:port or unix:path ({VARIABLES[0]}; {DEFAULT_ADDRESS})",
        )
        one.add_argument(
            "--timeout", type=seconds, default=DEFAULT_TIMEOUT_S, help="seconds a call may take"
        )
        if for_programs:
            one.add_argument("--json", action="store_true", help="one JSON document, for programs")
        else:
            one.set_defaults(json=False)
        return one


def add_request_id(command: argparse.ArgumentParser) -> None:
    """`--request-id`, for a command that writes."""
    command.add_argument(
        "--request-id", help="repeat a write safely: the same id gets the same response"
    )


def add_paging(command: argparse.ArgumentParser) -> None:
    """`--page-size` and `--page-token`, for a command that lists."""
    command.add_argument("--page-size", type=int, default=0)
    command.add_argument("--page-token", default="")


def _server(text: str) -> str:
    try:
        return for_client(text).text
    except InvalidAddress as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def seconds(text: str) -> float:
    """A time that a call may take, in seconds. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _LONGEST_TIMEOUT_S:
        raise argparse.ArgumentTypeError(
            f"is a number of seconds above 0, at most {_LONGEST_TIMEOUT_S:.0f}"
        )
    return value
