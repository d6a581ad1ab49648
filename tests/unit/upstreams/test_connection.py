"""Replies of upstreams are the same however they are cut, and rubbish is a failure, never an exception."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.edge.fakes import FakeLoop, FakeTransport
from tuckshop.upstreams.connection import TURN_BYTES, UpstreamConnection
from tuckshop.upstreams.exchange import Headers, UpstreamExchange
from tuckshop.upstreams.failure import TimeoutKind, UpstreamFailure
from tuckshop.upstreams.limits import UpstreamLimits
from tuckshop.upstreams.pool import UpstreamPool

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-Id: 1\r\n\r\n"
    b"5\r\ndata:\r\n3;x\r\n 1\n\r\n1\r\n\n\r\n0\r\nX-T: 1\r\n\r\n"
)
REPLIES = [
    CHUNKED,
    b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED,
    b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n0\r\n\r\nab",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
]


class FakePool:
    """What a connection needs of its pool."""

    def __init__(self) -> None:
        self.limits = UpstreamLimits()
        self.loop = FakeLoop()
        self.idle: list[object] = []

    def give_back(self, connection: object) -> None:
        self.idle.append(connection)

    def forget(self, connection: object) -> None:
        if connection in self.idle:
            self.idle.remove(connection)


class Told:
    def __init__(self, *, abort_at: str = "") -> None:
        self.events: list[Any] = []
        self.body = b""
        self.abort_at = abort_at
        self.exchange: UpstreamExchange | None = None

    def _note(self, event: Any) -> None:
        self.events.append(event)
        if event[0] == self.abort_at and self.exchange is not None:
            self.exchange.abort()

    def on_head(self, status: int, headers: Headers) -> None:
        self._note(("head", status, headers))

    def on_data(self, data: bytes) -> None:
        self.body += data
        if self.abort_at == "data":
            self._note(("data",))

    def on_end(self) -> None:
        self._note(("end",))

    def on_error(self, failure: UpstreamFailure) -> None:
        self._note(("error", failure.kind, failure.request_bytes_written))

    def on_timeout(self, kind: TimeoutKind) -> None:
        self._note(("timeout", kind))


def hear(reply: bytes, cut: int, told: Told) -> tuple[FakePool, FakeTransport]:
    pool, transport = FakePool(), FakeTransport()
    transport.is_closing = lambda: not transport.is_open  # type: ignore[attr-defined]
    connection = UpstreamConnection(cast(UpstreamPool, pool))
    connection.connection_made(cast(asyncio.Transport, _Socketless(transport)))
    exchange = UpstreamExchange(told, deadline_at=2000.0, gap_timeout_s=60.0)
    told.exchange = exchange
    connection.begin(exchange, b"GET / HTTP/1.1\r\n\r\n")
    for start in range(0, len(reply), cut):
        if transport.is_open:
            connection.data_received(reply[start : start + cut])
            pool.loop.pass_time(0)
    if not pool.idle:
        if transport.is_open:
            connection.eof_received()
        connection.connection_lost(None)
    return pool, transport


class _Socketless:
    def __init__(self, transport: FakeTransport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def get_extra_info(self, name: str) -> None:
        return None


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("cut", [1, 2, 3, 7, 20])
def test_a_reply_is_the_same_however_it_is_cut(reply: bytes, cut: int) -> None:
    whole, pieces = Told(), Told()

    pool, _ = hear(reply, len(reply), whole)
    pool_of_pieces, _ = hear(reply, cut, pieces)

    assert pieces.events == whole.events
    assert pieces.body == whole.body
    assert whole.events[-1] == ("end",)
    assert len(pool.idle) == len(pool_of_pieces.idle)
    assert bool(pool.idle) == (b"close" not in reply and b"HTTP/1.0" not in reply)


@pytest.mark.parametrize("cut", [1_000, 10**6])
def test_a_huge_head_is_a_failure_even_if_it_comes_in_one_read(cut: int) -> None:
    told = Told()

    hear(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 128_000 + b"\r\nContent-Length: 0\r\n\r\n", cut, told)

    assert [event[0] for event in told.events] == ["error"]


def test_a_field_is_told_by_its_name_in_lower_case_and_without_spaces_around_it() -> None:
    told = Told()

    hear(
        b"HTTP/1.1 200 OK\r\nX-Request-ID:  b: c \t\r\nRetry-After:\r\nContent-Length: 0\r\n\r\n",
        10**6,
        told,
    )

    fields = [(b"x-request-id", b"b: c"), (b"retry-after", b""), (b"content-length", b"0")]
    assert told.events == [("head", 200, fields), ("end",)]


def test_only_fields_that_concern_somebody_are_told() -> None:
    """E4: what an upstream says of the account does not even come as far as the relay."""
    told = Told()

    hear(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: content-type: a\r\nX-Retry-After: 1\r\nRetry-After-Ms: 20\r\n"
        b"OpenAI-Organization: org-a\r\nContent-Length: 0\r\n\r\n",
        10**6,
        told,
    )

    assert told.events[0] == ("head", 200, [(b"retry-after-ms", b"20"), (b"content-length", b"0")])


@pytest.mark.parametrize("cut", [1, 10**6])
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n\tContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\r\n",
        b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500 + b"Content-Length: 2\r\n\r\n",
    ],
)
def test_a_head_that_could_be_read_in_two_ways_or_has_too_many_fields_is_a_failure(
    head: bytes, cut: int
) -> None:
    told = Told()

    pool, transport = hear(head + b"ab", cut, told)

    assert told.events == [("error", "protocol", True)]
    assert not pool.idle
    assert not transport.is_open


@pytest.mark.parametrize("abort_at", ["head", "data"])
def test_nothing_is_told_after_an_abort_within_a_callback(abort_at: str) -> None:
    told = Told(abort_at=abort_at)

    pool, transport = hear(CHUNKED, len(CHUNKED), told)

    assert told.events[-1][0] == abort_at
    assert transport.was_aborted
    assert not pool.idle


@given(
    reply=st.sampled_from(REPLIES),
    at=st.integers(min_value=0, max_value=120),
    rubbish=st.binary(max_size=12),
    cut=st.integers(min_value=1, max_value=50),
)
@settings(max_examples=100, deadline=None)
def test_rubbish_ends_in_one_end_and_poisons_nobody(
    reply: bytes, at: int, rubbish: bytes, cut: int
) -> None:
    """Section 10: one end, whatever comes; a connection is only kept after a reply that was exact."""
    told = Told()
    sent = reply[:at] + rubbish + reply[at:]

    pool, transport = hear(sent, cut, told)

    ends = [event for event in told.events if event[0] in ("end", "error")]
    assert len(ends) == 1
    assert told.events[-1] == ends[0]
    assert not pool.idle or (transport.is_open and ends[0] == ("end",))


def body_in_turns(end: bytes = b"") -> tuple[FakePool, FakeTransport, UpstreamConnection, Told]:
    """A connection that has read all of a reply of five turns at once."""
    pool, transport = FakePool(), FakeTransport()
    transport.is_closing = lambda: not transport.is_open  # type: ignore[attr-defined]
    connection = UpstreamConnection(cast(UpstreamPool, pool))
    connection.connection_made(cast(asyncio.Transport, _Socketless(transport)))
    told = Told(abort_at="")
    exchange = told.exchange = UpstreamExchange(told, deadline_at=2000.0, gap_timeout_s=60.0)
    connection.begin(exchange, b"GET / HTTP/1.1\r\n\r\n")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (5 * TURN_BYTES)
    connection.data_received(head + b"x" * 5 * TURN_BYTES + end)
    return pool, transport, connection, told


def test_what_one_read_brings_is_taken_in_turns() -> None:
    """Section 8: no more than a turn's worth at once, in order, and nothing is read meanwhile."""
    pool, transport, _, told = body_in_turns()
    assert 0 < len(told.body) <= TURN_BYTES
    assert not transport.reading
    assert not pool.idle
    pool.loop.pass_time(0)
    assert told.body == b"x" * 5 * TURN_BYTES
    assert told.events[-1] == ("end",)
    assert transport.reading
    assert pool.idle


def test_the_end_of_the_connection_waits_for_what_came_before_it() -> None:
    """M5: a reply that came whole is whole, although its connection ended before it was taken."""
    for close in (False, True):
        pool, transport, connection, told = body_in_turns()
        transport.is_open = False
        if close:
            connection.eof_received()
        connection.connection_lost(None)
        pool.loop.pass_time(0)
        assert told.events[-1] == ("end",)
        assert len(told.body) == 5 * TURN_BYTES
        assert not pool.idle
        assert all(timer.cancelled for timer in pool.loop.timers)


def test_what_is_ahead_is_never_another_calls() -> None:
    """Section 8: bytes behind a reply, not looked at yet, close its connection all the same."""
    pool, transport, _, told = body_in_turns(end=b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * TURN_BYTES)
    pool.loop.pass_time(0)
    assert told.events[-1] == ("end",)
    assert told.body == b"x" * 5 * TURN_BYTES
    assert transport.was_aborted
    assert not pool.idle


@pytest.mark.parametrize("is_lost", [False, True])
def test_turns_wait_for_the_client(is_lost: bool) -> None:
    """E6: while the client is to catch up nothing more is taken; afterwards all of it is, once."""
    pool, _, connection, told = body_in_turns()
    exchange = told.exchange
    assert exchange is not None
    exchange.pause()
    before = len(told.body)
    pool.loop.pass_time(1)
    assert len(told.body) == before
    if is_lost:
        connection.connection_lost(None)
    for _ in range(3):
        exchange.resume()
        exchange.pause()
    exchange.resume()
    pool.loop.pass_time(0)
    assert told.body == b"x" * 5 * TURN_BYTES
    assert told.events[-1] == ("end",)


def test_giving_up_ends_the_turns() -> None:
    """M9: an exchange that was aborted hears nothing more, and its connection leaves no timer."""
    pool, transport, connection, told = body_in_turns()
    exchange = told.exchange
    assert exchange is not None
    exchange.pause()
    connection.connection_lost(None)
    before = len(told.body)
    exchange.abort()
    pool.loop.pass_time(1)
    assert len(told.body) == before
    assert all(timer.cancelled for timer in pool.loop.timers)
    assert not transport.was_aborted  # it is closed already
