"""Addresses that are posted to, such as a webhook's: where to connect, and what to ask for there."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tuckshop.upstreams.base_url import BaseUrl, parse_base_url

URL_MAX_CHARS: Final = 2_000
_TARGET: Final = re.compile(r"/[!\"$-~]*")  # visible ASCII without #


class TargetUrl(NamedTuple):
    """A parsed address."""

    base: BaseUrl  # without a path
    target: str  # path and query


def parse_target_url(text: str) -> TargetUrl:
    """
    The parts of *text*, which may hold a query, unlike a base URL.

    Raises:
        ValueError: It is not http or https with a host, or it holds a user, a fragment or what is not visible ASCII.
    """
    text = text.strip()
    if len(text) > URL_MAX_CHARS:
        raise ValueError(f"an address has at most {URL_MAX_CHARS:,} characters")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("an address is written like https://example.org/hook") from None
    if parts.fragment or "#" in text:
        raise ValueError("an address holds no fragment")
    base = parse_base_url(f"{parts.scheme}://{parts.netloc}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _TARGET.fullmatch(target):
        raise ValueError("an address is visible ASCII: encode other characters as %XX")
    return TargetUrl(base, target)
