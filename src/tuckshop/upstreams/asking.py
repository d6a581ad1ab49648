"""A question of our own to an upstream, and its whole answer: over the way that calls take, with its own credential."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from tuckshop.upstreams.exchange import Headers
from tuckshop.upstreams.failure import FailureKind, TimeoutKind, UpstreamFailure
from tuckshop.upstreams.registry import Upstream

Problem = FailureKind | Literal["no_credential", "timeout", "too_long"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came. A redirect is an answer like any other: nobody follows it."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The field called *name*, in lower case, if there is one."""
        return next((value for known, value in self.headers if known == name), None)


_ACCEPT: Final = (b"accept", b"application/json")
_JSON: Final = (b"content-type", b"application/json")


class _Gathering:
    """Receives the answer."""

    def __init__(self, done: asyncio.Future[Answer | Problem], max_bytes: int) -> None:
        self._done = done
        self._max_bytes = max_bytes
        self._status = 0
        self._headers: Headers = []
        self._body = bytearray()

    def on_head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers

    def on_data(self, data: bytes) -> None:
        if len(self._body) + len(data) > self._max_bytes:
            self._tell("too_long")
        else:
            self._body += data

    def on_end(self) -> None:
        self._tell(Answer(status=self._status, headers=self._headers, body=bytes(self._body)))

    def on_error(self, failure: UpstreamFailure) -> None:
        self._tell(failure.kind)

    def on_timeout(self, kind: TimeoutKind) -> None:
        self._tell("timeout")

    def _tell(self, outcome: Answer | Problem) -> None:
        if not self._done.done():
            self._done.set_result(outcome)


async def ask(
    upstream: Upstream,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    max_bytes: int,
    timeout_s: float,
) -> Answer | Problem:
    """
    The whole answer of *upstream*, or why there is none.

    Args:
        max_bytes: Of the answer; a longer one is given up.
    """
    if upstream.credential is None:
        return "no_credential"
    done: asyncio.Future[Answer | Problem] = asyncio.get_running_loop().create_future()
    headers = [(b"authorization", b"Bearer " + upstream.credential.encode("latin-1")), _ACCEPT]
    if body:
        headers.append(_JSON)
    exchange = upstream.pool.open(method, path, headers, body, _Gathering(done, max_bytes))
    try:
        async with asyncio.timeout(timeout_s):
            return await done
    except TimeoutError:
        return "timeout"
    finally:
        exchange.abort()
