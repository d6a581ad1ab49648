"""The HTTP proxy on the way out, as the operator names it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """An HTTP proxy that makes tunnels."""

    host: str  # a name, or an address without brackets
    port: int
    authorization: bytes | None = field(repr=False)  # the value of Proxy-Authorization

    def __str__(self) -> str:
        """Where it is, without the credentials: for logs."""
        return f"{bracketed(self.host)}:{self.port}"


def parse_proxy(text: str) -> UpstreamProxy:
    """
    The proxy that *text*, such as ``http://user:password@proxy.example.org:3128``, names.

    Raises:
        ValueError: It names none. The message holds nothing of *text*, which may be a secret.
    """
    try:
        parts = urlsplit(text.strip())
    except ValueError:  # its own message may quote a password
        raise ValueError("a proxy is named as http://HOST:PORT") from None
    if parts.scheme != "http":
        raise ValueError("a proxy is named as http://HOST:PORT; others than HTTP are not spoken")
    if parts.path not in ("", "/") or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("a proxy is named as http://HOST:PORT and nothing behind it")
    try:
        port = parts.port or 3128
        host = parts.hostname.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        raise ValueError("the proxy's host or port cannot be") from None
    if parts.username is None and parts.password is None:
        return UpstreamProxy(host, port, None)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in user:
        raise ValueError("the proxy's user has a colon, which no user name can have")
    both = base64.b64encode(f"{user}:{password}".encode())
    return UpstreamProxy(host, port, b"Basic " + both)


def bracketed(host: str) -> str:
    """*host* as it stands before a port."""
    return f"[{host}]" if ":" in host else host
