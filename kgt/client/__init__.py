"""Clients for other services: blocking and asynchronous, without the server's dependencies.

    from kgt.client import Client

    with Client("127.0.0.1:50051") as kgt:
        kgt.personalize(user="alice", query="What does a dog enjoy?", answer="vegetables")
        print(kgt.answer(user="alice", query="What should I feed my dog?").text)
        quick = kgt.within(2.0)  # the same connection with another deadline

`Client` blocks and `AsyncClient` is awaited; otherwise they are the same. Each RPC of the contract
(`proto/kgt/v1/personalization.proto`) is a method of the same name in snake_case. It takes the
request's fields as keyword arguments and returns the RPC's message, or an iterator of messages
where the RPC streams. An argument that is left out is not sent, so the server's default applies.

Where the server asks who calls, a client takes a `token`, or a `certificate` with its `key`, and
for TLS the `root_certificates` of the server. `Client(address, **access_in(os.environ))` takes them
from the environment, as the `kgt` command does.

Every call has a deadline, and raises `kgt.errors.CallError` or one of its subclasses when it fails.
A call that fails with UNAVAILABLE is retried, but never after the first message of a stream. Writes
carry a request id, so a retry cannot make the same change twice. A server on this machine is never
reached through a proxy, whatever `http_proxy` says.
"""

from kgt.client.access import access_in
from kgt.client.asynchronous import AsyncClient
from kgt.client.blocking import Client
from kgt.client.connection import DEFAULT_TIMEOUT_S, whole_lines

__all__ = ["DEFAULT_TIMEOUT_S", "AsyncClient", "Client", "access_in", "whole_lines"]
