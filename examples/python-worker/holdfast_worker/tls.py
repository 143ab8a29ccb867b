"""How the coordinator is dialled: in plaintext, or over TLS with a certificate that says who we are.

The options have the names, and the variables, of Holdfast's own agents: docs/how-to/tls.md tells how to make the files.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True)
class Tls:
    """Files in PEM. Without an authority those that gRPC brings are trusted; without a certificate we stay anonymous."""

    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read anew for each channel, so that a certificate may change under a running worker. Raises OSError."""
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca),
            private_key=_read(self.client_key),
            certificate_chain=_read(self.client_cert),
        )

    def options(self) -> list[tuple[str, str]]:
        """For a coordinator that is dialled by another name than its certificate has."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a command line; each may also be a HOLDFAST_ variable."""
    env = os.environ
    parser.add_argument(
        "--tls",
        nargs="?",
        const="true",
        default=env.get("HOLDFAST_TLS"),
        choices=("true", "false"),
        help="speak TLS; default: true when another --tls- option is given",
    )
    for name, variable, what in (
        ("--tls-ca", "HOLDFAST_TLS_CA", "authorities of which one has signed the coordinator's certificate"),
        ("--tls-client-cert", "HOLDFAST_TLS_CLIENT_CERT", "certificate that says who we are"),
        ("--tls-client-key", "HOLDFAST_TLS_CLIENT_KEY", "its private key"),
    ):
        parser.add_argument(name, type=Path, metavar="FILE", default=env.get(variable) or None, help=f"{what} (PEM)")
    parser.add_argument(
        "--tls-server-name",
        metavar="NAME",
        default=env.get("HOLDFAST_TLS_SERVER_NAME") or None,
        help="name that the coordinator's certificate must have; default: the host of --coordinator",
    )


def given_by(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Tls | None:
    """What the command line says, or None for plaintext. Ends the program where a file cannot be used."""
    tls = Tls(given.tls_ca, given.tls_client_cert, given.tls_client_key, given.tls_server_name)
    if given.tls == "false" or (given.tls is None and tls == Tls()):
        return None
    if (tls.client_cert is None) != (tls.client_key is None):
        parser.error("--tls-client-cert and --tls-client-key are of no use without each other")
    try:
        tls.credentials()
    except OSError as error:
        parser.error(f"cannot read {error.filename}: {error.strerror}")
    return tls
