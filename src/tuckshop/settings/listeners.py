"""Where a server with these settings listens, as far as their text tells."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tuckshop.settings.fields import Settings


def is_own_listener(settings: Settings, scheme: str, host: str, port: int | None) -> bool:
    """Do *host* and *port* name the server with these settings, as far as the text tells?"""
    port = port or {"http": 80, "https": 443}[scheme]
    for own_host, own_port in ((settings.host, settings.port), settings.admin_address):
        if port != own_port:
            continue
        loopback = host == "localhost" or _is_loopback(host)
        everywhere = own_host in ("localhost", "0.0.0.0", "::") or _is_loopback(own_host)  # noqa: S104
        if host == own_host or (loopback and everywhere):
            return True
    if settings.public_url is None:
        return False
    own = urlsplit(settings.public_url)
    return host == own.hostname and port == (own.port or {"http": 80, "https": 443}[own.scheme])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(host: str) -> bool:
    """Does listening on *host* reach beyond this machine?"""
    return not (host == "localhost" or _is_loopback(host))
