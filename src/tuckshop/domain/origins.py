"""Origins of web pages, as a browser sends them in `Origin`."""

from __future__ import annotations

import re
from typing import Final

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,31})://(?P<host>[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def parse_origin(text: str) -> str:
    """
    *text* as a browser would send it: scheme, host and a port that is not the scheme's own.

    Raises:
        ValueError: It is no origin; says why.
    """
    lowered = text.strip().lower()
    if lowered == "null":
        raise ValueError("null is what every sandboxed page sends; it names nobody")
    if not lowered.isascii():
        raise ValueError(f"{text!r} is not as browsers send it: write the host in its xn-- form")
    match = _ORIGIN.fullmatch(lowered.removesuffix("/"))
    if match is None or int(match["port"] or 1) not in range(1, 65_536):
        raise ValueError(
            f"{text!r} is not an origin such as https://chat.example.org: a scheme, a host and perhaps a port"
        )
    if match["port"] == _DEFAULT_PORTS.get(match["scheme"], "none"):
        return f"{match['scheme']}://{match['host']}"  # browsers leave the usual port out
    return match[0]
