"""
Callers without a credential, where they may change something: from our own page alone (K12), and not too often (K15).

Only browsers tell where a request comes from, so what tells nothing is refused too: nobody but our page has a reason
to make such a call.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from tuckshop.api.problems import ProblemError
from tuckshop.domain.errors import RateLimitExceededError, TooOftenError
from tuckshop.domain.origins import parse_origin
from tuckshop.gateway.flood import FloodGate

# A lecture hall behind one address opens its links at once; nobody goes on at that rate.
ADDRESS_PER_SECOND: Final = 2
ADDRESS_BURST: Final = 300
ALL_PER_SECOND: Final = 50
ALL_BURST: Final = 1_000
ADDRESSES_MAX: Final = (
    10_000  # remembered; then all are forgotten, and the rate of all together holds
)


class Visitors:
    """Judges such calls before anything of them is read."""

    def __init__(self, public_url: str | None) -> None:
        """*public_url* is how people reach the server: its origin is ours."""
        self._origin = None if public_url is None else _origin_of(public_url)
        self._by_address = FloodGate(per_second=ADDRESS_PER_SECOND, burst=ADDRESS_BURST)
        self._of_all = FloodGate(per_second=ALL_PER_SECOND, burst=ALL_BURST)

    def check(self, request: Request, now_s: float) -> None:
        """
        That this call may be looked at.

        Raises:
            ProblemError: It does not come from our page.
            TooOftenError: There are too many.
        """
        if not self._is_from_our_page(request):
            raise ProblemError(
                403, "This call is made by a page of this server; open that in a browser."
            )
        if len(self._by_address) >= ADDRESSES_MAX:
            self._by_address = FloodGate(per_second=ADDRESS_PER_SECOND, burst=ADDRESS_BURST)
        try:
            self._by_address.pass_through(
                _network_of(request.client.host if request.client else ""), now_s
            )
            self._of_all.pass_through("", now_s)
        except RateLimitExceededError as error:
            raise TooOftenError(
                "Too many people are asking at this moment: wait a little and try again.",
                error.retry_after_s,
            ) from None

    def _is_from_our_page(self, request: Request) -> bool:
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        # Browsers leave that field out where the page came without TLS from another machine.
        origin = request.headers.get("origin")
        if origin is None:
            return False
        return origin == self._origin or urlsplit(origin).netloc == request.headers.get("host")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return parse_origin(f"{parts.scheme}://{parts.netloc}")


def _network_of(address: str) -> str:
    """What one caller can choose among: a whole /64 of IPv6 is one connection."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address
