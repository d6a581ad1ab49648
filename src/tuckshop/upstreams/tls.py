"""TLS towards upstreams: verified against the system's store, and a CA of one's own where there is one."""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """
    A context that verifies certificate and host name.

    Args:
        ca_file: Further certificate authorities, in PEM.
    Raises:
        OSError: The file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
