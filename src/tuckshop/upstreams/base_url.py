"""Base URLs of upstreams: where to connect, and what stands before every path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A parsed base URL. It comes from the operator alone; nothing that a client sends takes part in it (K10)."""

    scheme: str
    host: str  # a name, or an address without brackets
    port: int
    prefix: str  # such as /v1; without a slash at its end

    @property
    def is_tls(self) -> bool:
        """Is it https?"""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """What goes into the `Host` field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.is_tls else 80
        return host if self.port == default else f"{host}:{self.port}"


def parse_base_url(text: str) -> BaseUrl:
    """
    The parts of *text*.

    Raises:
        ValueError: It is not http or https with a host, or it holds credentials, a query, a fragment or a path that
            is not clean.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except ValueError:  # its own message may quote what was taken for a password
        raise ValueError("a base URL is written like https://api.openai.com/v1") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("a base URL begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a base URL holds no user and no password")
    if parts.query or parts.fragment:
        raise ValueError("a base URL holds no query and no fragment")
    if not host:
        raise ValueError("a base URL names a host")
    if port == 0:
        raise ValueError("a base URL names a port from 1 to 65535")
    prefix = parts.path.rstrip("/")
    segments = prefix.split("/")
    if not _PREFIX.fullmatch(prefix) or "." in segments or ".." in segments:
        raise ValueError("the path of a base URL holds plain segments only")
    return BaseUrl(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), prefix)
