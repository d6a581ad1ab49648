"""TLS towards upstreams and the mail server: verified by the system's store, and a CA of one's own if there is one."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path


def client_context(
    ca_file: Path | None = None, *, protocols: Sequence[str] = ("http/1.1",)
) -> ssl.SSLContext:
    """
    A context that verifies certificate and host name.

    Args:
        ca_file: Further certificate authorities, in PEM.
        protocols: What is offered to be spoken (ALPN).
    Raises:
        OSError: The file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
