"""
One request to an address that somebody gave, and the status that it answers: no redirect is followed, no body read.

A connection is made for it and closed after it, so that the address is looked up and checked every time (K20).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from tuckshop.domain.records import Reach
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.base_url import BaseUrl
from tuckshop.upstreams.exchange import Headers
from tuckshop.upstreams.failure import TimeoutKind, UpstreamFailure
from tuckshop.upstreams.pool import UpstreamPool
from tuckshop.upstreams.target_url import parse_target_url

POST_TIMEOUT_S: Final = 15.0  # name, connection, TLS and answer together

Connect = Callable[[BaseUrl, Reach], UpstreamPool]


def connect_straight(base_url: BaseUrl, reach: Reach) -> UpstreamPool:
    """A connection as it is made where no settings say otherwise."""
    return UpstreamPool(base_url, guard=AddressGuard(reach, tuple), what="webhook")


class Posted(NamedTuple):
    """What came of it."""

    status: int | None  # None: no answer
    told: str  # in words of our own

    @property
    def is_taken(self) -> bool:
        """Has the receiver said that it has it?"""
        return self.status is not None and 200 <= self.status < 300


class _Listening:
    """Receives the answer, of which the status is enough."""

    def __init__(self, done: asyncio.Future[Posted]) -> None:
        self._done = done

    def on_head(self, status: int, headers: Headers) -> None:
        self._tell(Posted(status, _told_status(status)))

    def on_data(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_error(self, failure: UpstreamFailure) -> None:
        self._tell(Posted(None, _told_failure(failure)))

    def on_timeout(self, kind: TimeoutKind) -> None:
        self._tell(_LATE)

    def _tell(self, posted: Posted) -> None:
        if not self._done.done():
            self._done.set_result(posted)


async def post(connect: Connect, url: str, reach: Reach, headers: Headers, body: bytes) -> Posted:
    """Post *body* to *url*, which was taken by `parse_target_url` before."""
    address = parse_target_url(url)
    pool = connect(address.base, reach)
    done: asyncio.Future[Posted] = asyncio.get_running_loop().create_future()
    try:
        exchange = pool.open("POST", address.target, headers, body, _Listening(done))
        try:
            async with asyncio.timeout(POST_TIMEOUT_S):
                return await done
        except TimeoutError:
            return _LATE
        finally:
            exchange.abort()
    finally:
        await pool.close()


_LATE: Final = Posted(None, f"no answer within {POST_TIMEOUT_S:g} s")


def _told_status(status: int) -> str:
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _told_failure(failure: UpstreamFailure) -> str:
    match failure.kind:
        case "dns":
            return "its host has no address"
        case "tls":
            return "its certificate is not trusted here, or it speaks no TLS"
        case "refused":
            return "takes no connection"
        case "forbidden":
            return f"is not dialled: {failure.detail}"
        case "connect_timeout" | "deadline":
            return _LATE.told
        case "reset" | "protocol":
            return "broke off, or does not answer as HTTP"
