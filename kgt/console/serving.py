"""The page on HTTP, what may be bound, and for whom."""

from __future__ import annotations

from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette

from kgt.addresses import Address, for_client
from kgt.client.access import Access, channel_credentials
from kgt.console.app import application
from kgt.console.visit import Site
from kgt.listening import listen, url_of


class WrongServing(ValueError):
    """The options contradict each other, or would let others in."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Which service to call, and for whom: for one user, or for whoever an operator names."""

    service: str
    user: str | None = None
    any_user: bool = False
    timeout_s: float = 60.0
    insecure_bind: bool = False
    host_names: tuple[str, ...] = ()
    access: Access = field(default_factory=Access, repr=False)

    async def on_http(self, address: Address) -> None:
        """Serve until the process is told to stop. Raises ValueError (WrongServing), OSError."""
        self.check(address)
        # Before anybody is served: a wrong token or certificate is told in one line.
        channel_credentials(for_client(self.service), **self.access)
        bound = listen(address)
        url = url_of(address, bound)
        app = self.app(address, port=bound.getsockname()[1])
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        print(f"listening on {url}", flush=True)
        await uvicorn.Server(config).serve(sockets=[bound])

    def app(self, address: Address, port: int) -> Starlette:
        """The application, as it is served at `address`."""
        names = (address.host, *self.host_names)
        return application(Site(self.service, self.user, self.timeout_s, names, port, self.access))

    def check(self, address: Address) -> None:
        """Whether the page may be served at `address`. Raises WrongServing."""
        if not self.user and not self.any_user:
            raise WrongServing("whose page is it? Name --user or KGT_USER, or --any-user")
        if address.is_loopback:
            return
        if self.any_user:
            raise WrongServing(
                f"{address.text} is reachable from other machines, and --any-user would show them"
                " everybody's page: name a loopback address"
            )
        if not self.insecure_bind:
            raise WrongServing(
                f"{address.text} is reachable from other machines, and there is no authentication:"
                " name a loopback address, or set KGT_INSECURE_BIND=1"
            )
