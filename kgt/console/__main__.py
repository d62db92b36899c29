"""python -m kgt.console: a page that shows what KGT knows about a user, and lets them change it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from kgt.addresses import Address
from kgt.client import access_in
from kgt.command.arguments import Parser
from kgt.console.serving import Serving
from kgt.hosting import add_arguments, hosted, service_of

DEFAULT_HTTP = "127.0.0.1:8780"
INSECURE_VARIABLE = "KGT_INSECURE_BIND"
_ON = frozenset(["1", "true", "yes", "on"])


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    one = Parser(prog="python -m kgt.console", description=__doc__)
    add_arguments(one, timeout_s=60.0)
    one.add_argument(
        "--any-user",
        action="store_true",
        help="for an operator: ask whose page to show, instead of serving one user",
    )
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
    return hosted("kgt.console", parser().parse_args(arguments), _serve)


async def _serve(options: argparse.Namespace) -> None:
    serving = Serving(
        service_of(options),
        user=None if options.any_user else options.user,
        any_user=options.any_user,
        timeout_s=options.timeout,
        insecure_bind=options.insecure_bind,
        host_names=tuple(options.host_name),
        access=access_in(os.environ),
    )
    await serving.on_http(Address.parse(options.http))


if __name__ == "__main__":
    raise SystemExit(main())
