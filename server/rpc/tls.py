"""TLS for the listener. Certificates are read again when their files change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from server.errors import InvalidSetting
from server.rpc.identity.watched import Watched


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of a listener, in PEM."""

    certificate: Path
    """The server's certificate, and the ones between it and the authority."""
    key: Path
    client_ca: Path | None = None
    """The authorities of clients' certificates. With it, no client connects without one."""

    def credentials(self) -> grpc.ServerCredentials:
        """What gRPC listens with. Raises InvalidSetting."""
        paths = [self.certificate, self.key, *([self.client_ca] if self.client_ca else [])]
        configurations = Watched(paths, self._configuration)
        return grpc.dynamic_ssl_server_credentials(
            configurations.current(),
            configurations.current,  # asked at each handshake
            require_client_authentication=self.client_ca is not None,
        )

    def _configuration(self, contents: Sequence[bytes]) -> Any:
        """Raises InvalidSetting for files that gRPC could not use, or that do not belong together.

        gRPC itself says nothing then, and every handshake fails.
        """
        certificate, key, *authorities = contents
        try:
            own = x509.load_pem_x509_certificates(certificate)[0].public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidSetting(
                f"KGT_TLS_CERTIFICATE: {self.certificate} is not a certificate in PEM"
            ) from error
        try:
            private = load_pem_private_key(key, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidSetting(
                f"KGT_TLS_KEY: {self.key} is not a private key in PEM without a password"
            ) from error
        if private.public_key() != own:
            raise InvalidSetting(f"KGT_TLS_KEY: {self.key} is not the key of {self.certificate}")
        try:
            for data in authorities:
                x509.load_pem_x509_certificates(data)
        except ValueError as error:
            raise InvalidSetting(
                f"KGT_TLS_CLIENT_CA: {self.client_ca} is not certificates in PEM"
            ) from error
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate)], root_certificates=authorities[0] if authorities else None
        )
