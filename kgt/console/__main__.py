"""python -m kgt.console: a page that shows what KGT knows about a user, and lets them change it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, Address, for_client, named_address
from kgt.client import access_in
from kgt.command.arguments import USER_VARIABLE
from kgt.console.serving import Serving

DEFAULT_HTTP = "127.0.0.1:8780"
INSECURE_VARIABLE = "KGT_INSECURE_BIND"
_ON = frozenset(["1", "true", "yes", "on"])


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    one = argparse.ArgumentParser(prog="python -m kgt.console", description=__doc__)
    one.add_argument(
        "-u", "--user", default=os.environ.get(USER_VARIABLE), help=f"the user ({USER_VARIABLE})"
    )
    one.add_argument(
        "--any-user",
        action="store_true",
        help="for an operator: ask whose page to show, instead of serving one user",
    )
    one.add_argument(
        "--server", help=f"the service: host:port or unix:path ({VARIABLES[0]}; {DEFAULT_ADDRESS})"
    )
    one.add_argument("--timeout", type=float, default=60.0, help="seconds a call may take")
    one.add_argument(
        "--http",
        default=DEFAULT_HTTP,
        metavar="HOST:PORT",
        help=f"the address to listen on ({DEFAULT_HTTP}); port 0 takes a free one",
    )
    one.add_argument(
        "--insecure-bind",
        action="store_true",
        default=os.environ.get(INSECURE_VARIABLE, "").lower() in _ON,
        help="allow an address that other machines can reach, without authentication"
        f" ({INSECURE_VARIABLE})",
    )
    one.add_argument(
        "--host-name",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which browsers reach the page, besides localhost and IP addresses",
    )
    return one


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the process is stopped. Returns the exit status."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    options = parser().parse_args(arguments)
    try:
        service = for_client(options.server or named_address(os.environ) or DEFAULT_ADDRESS).text
        serving = Serving(
            service,
            user=None if options.any_user else options.user,
            any_user=options.any_user,
            timeout_s=options.timeout,
            insecure_bind=options.insecure_bind,
            host_names=tuple(options.host_name),
            access=access_in(os.environ),
        )
        asyncio.run(serving.on_http(Address.parse(options.http)))
    except ValueError as error:
        return _failed(str(error), 2)
    except OSError as error:
        return _failed(f"{error.filename or options.http}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _failed(why: str, status: int) -> int:
    print(f"kgt.console: {why}", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
