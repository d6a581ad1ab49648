"""
Trying an upstream: a real call that costs nothing, the list of its models, over the way that calls take.

What comes back is told in words of our own: an upstream's text may quote the credential.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tuckshop.upstreams.exchange import Headers
from tuckshop.upstreams.failure import TimeoutKind, UpstreamFailure
from tuckshop.upstreams.registry import Upstream

PROBE_TIMEOUT_S: Final = 10.0
BODY_MAX_BYTES: Final = 4 << 20

ProbeResult = Literal[
    "ok",
    "no_credential",  # it has none, so nothing was asked
    "credential_refused",  # 401 or 403
    "out_of_money_or_rate",  # 429
    "wrong_path",  # 404 or 405, or an answer that is no list of models
    "upstream_error",  # any other status
    "dns",
    "tls",
    "refused",  # no connection
    "forbidden",  # an address that must not be dialled
    "timeout",
    "broken",  # the answer broke off, or is not HTTP
]
_BY_FAILURE: Final[dict[str, ProbeResult]] = {
    "dns": "dns",
    "tls": "tls",
    "refused": "refused",
    "forbidden": "forbidden",
    "connect_timeout": "timeout",
    "deadline": "timeout",
    "reset": "broken",
    "protocol": "broken",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of it."""

    result: ProbeResult
    status: int | None = None  # of the upstream's answer
    models: int | None = None  # how many it lists


class _Listed(msgspec.Struct):
    """A list of models, as far as it is counted."""

    data: list[msgspec.Raw]


class _Gathering:
    """Receives the answer."""

    def __init__(self, done: asyncio.Future[Probe]) -> None:
        self._done = done
        self._status = 0
        self._body = bytearray()

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        if len(self._body) <= BODY_MAX_BYTES:
            self._body += data

    def on_end(self) -> None:
        self._tell(_judged(self._status, bytes(self._body)))

    def on_error(self, failure: UpstreamFailure) -> None:
        self._tell(Probe(result=_BY_FAILURE[failure.kind]))

    def on_timeout(self, kind: TimeoutKind) -> None:
        self._tell(Probe(result="timeout"))

    def _tell(self, probe: Probe) -> None:
        if not self._done.done():
            self._done.set_result(probe)


async def probe(upstream: Upstream) -> Probe:
    """Ask *upstream* for its models with its own credential."""
    if upstream.credential is None:
        return Probe(result="no_credential")
    done: asyncio.Future[Probe] = asyncio.get_running_loop().create_future()
    headers = [
        (b"authorization", b"Bearer " + upstream.credential.encode("latin-1")),
        (b"accept", b"application/json"),
    ]
    exchange = upstream.pool.open("GET", "/models", headers, b"", _Gathering(done))
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await done
    except TimeoutError:
        return Probe(result="timeout")
    finally:
        exchange.abort()


def _judged(status: int, body: bytes) -> Probe:
    if status in (401, 403):
        return Probe(result="credential_refused", status=status)
    if status == 429:
        return Probe(result="out_of_money_or_rate", status=status)
    if status in (404, 405):
        return Probe(result="wrong_path", status=status)
    if status != 200:
        return Probe(result="upstream_error", status=status)
    try:
        listed = msgspec.json.decode(body, type=_Listed)
    except msgspec.DecodeError:
        return Probe(result="wrong_path", status=status)
    return Probe(result="ok", status=status, models=len(listed.data))
