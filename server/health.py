"""Ask a running server whether it serves: `python -m server.health [HOST:PORT]`.

Containers use it as their health check. Without an argument it asks the server that KGT_ADDRESS
(or KGT_SERVER) names. Where KGT_TLS_CERTIFICATE names that server's certificate, the probe expects
just this certificate. It shows it too, where the server asks for one: no other is at hand.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kgt.addresses import (
    DEFAULT_ADDRESS,
    Address,
    InvalidAddress,
    channel_options,
    for_client,
    named_address,
)

_TIMEOUT_S = 4.0
SERVING: str = health_pb2.HealthCheckResponse.ServingStatus.Name(
    health_pb2.HealthCheckResponse.SERVING
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 is a server that serves, 1 one that does not, and 2 an address or a certificate that cannot
    be used.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        address = for_client(
            arguments[0] if arguments else named_address(os.environ) or DEFAULT_ADDRESS
        )
    except InvalidAddress as error:
        print(f"kgt: the address {error}", file=sys.stderr)
        return 2
    try:
        tls = Tls.of(os.environ)
    except (OSError, ValueError) as error:
        print(f"kgt: the certificate cannot be used: {error}", file=sys.stderr)
        return 2
    status = status_of(address, tls)
    print(f"{address.text}: {status}")
    return 0 if status == SERVING else 1


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate of the server that is asked, and its key, in PEM."""

    certificate: bytes
    key: bytes
    name: str
    """A host that the certificate is for, whichever the probe connects to."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Tls | None:
        """What the server's own settings name. Raises OSError and ValueError."""
        certificate, key = (environment.get(f"KGT_TLS_{n}") for n in ("CERTIFICATE", "KEY"))
        if not certificate or not key:
            return None
        own = Path(certificate).expanduser().read_bytes()
        return cls(own, Path(key).expanduser().read_bytes(), _name_in(own))

    def channel(self, address: Address) -> grpc.Channel:
        """A channel to the server that has this certificate."""
        credentials = grpc.ssl_channel_credentials(self.certificate, self.key, self.certificate)
        named = ("grpc.ssl_target_name_override", self.name)
        return grpc.secure_channel(address.text, credentials, [*channel_options(address), named])


def _name_in(certificate: bytes) -> str:
    """A name that the certificate is for. Raises ValueError."""
    own = x509.load_pem_x509_certificates(certificate)[0]
    try:
        found = own.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert isinstance(found, x509.SubjectAlternativeName)
        hosts = (x509.DNSName, x509.IPAddress)
        return next(str(name.value) for name in found if isinstance(name, hosts))
    except (x509.ExtensionNotFound, StopIteration):
        raise ValueError("it is for no host: it has neither a DNS name nor an address") from None


def status_of(address: Address, tls: Tls | None = None) -> str:
    """The answer of a server's health service, or the name of the gRPC status that came instead."""
    options = channel_options(address)
    with tls.channel(address) if tls else grpc.insecure_channel(address.text, options) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S
            )
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


if __name__ == "__main__":
    raise SystemExit(main())
