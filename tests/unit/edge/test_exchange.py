"""Replies: framed exactly, whatever is asked of them."""

from __future__ import annotations

import pytest

from tests.unit.edge.fakes import RecordingApp, Wire
from tuckshop.edge.exchange import Exchange

DATE = b"date: Mon, 21 Sep 2026 14:13:20 GMT\r\n"


def request(raw: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") -> tuple[Wire, Exchange]:
    wire = Wire(RecordingApp(hold=True))
    wire.feed(raw)
    return wire, wire.app.exchanges[0]


def test_a_whole_reply_has_a_length() -> None:
    wire, exchange = request()

    exchange.reply(200, [(b"content-type", b"a/b")], b"body")

    assert wire.transport.sent == (
        b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 4\r\n" + DATE + b"\r\nbody"
    )


def test_a_reply_of_unknown_length_is_chunked_piece_by_piece() -> None:
    wire, exchange = request()

    exchange.start(200, [])
    exchange.write(b"data: 1\n\n")
    exchange.write(b"")
    exchange.end(b"x")

    head, body = wire.transport.sent.split(b"\r\n\r\n", 1)
    assert b"transfer-encoding: chunked" in head
    assert body == b"9\r\ndata: 1\n\n\r\n1\r\nx\r\n0\r\n\r\n"


def test_a_head_without_a_piece_goes_out_at_the_end_of_the_turn() -> None:
    wire, exchange = request()

    exchange.start(200, [])
    assert wire.transport.sent == b""
    wire.loop.pass_time(0)

    assert wire.transport.sent.endswith(b"\r\n\r\n")
    exchange.write(b"x")
    assert wire.transport.sent.count(b"HTTP/1.1") == 1


def test_http_1_0_gets_no_chunks() -> None:
    wire, exchange = request(b"GET / HTTP/1.0\r\n\r\n")

    exchange.start(200, [])
    exchange.end(b"abc")

    head, body = wire.transport.sent.split(b"\r\n\r\n", 1)
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"abc"
    assert not wire.transport.is_open


@pytest.mark.parametrize("whole", [True, False])
def test_head_gets_no_body(whole: bool) -> None:
    wire, exchange = request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")

    if whole:
        exchange.reply(200, [], b"abc")
    else:
        exchange.start(200, [], 3)
        exchange.write(b"abc")
        exchange.end()

    assert b"content-length: 3" in wire.transport.sent
    assert wire.transport.sent.endswith(b"\r\n\r\n")
    assert wire.transport.is_open


def test_less_than_the_stated_length_cuts_the_connection() -> None:
    wire, exchange = request()

    exchange.start(200, [], 10)
    exchange.end(b"abc")

    assert wire.transport.was_aborted


def test_more_than_the_stated_length_is_a_mistake() -> None:
    wire, exchange = request()
    exchange.start(200, [], 2)

    with pytest.raises(ValueError, match="length"):
        exchange.write(b"abc")
    assert wire.transport.was_aborted


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb"])
def test_a_header_field_cannot_smuggle_another(value: bytes) -> None:
    wire, exchange = request()

    with pytest.raises(ValueError, match="line break"):
        exchange.reply(200, [(b"x-request-id", value)], b"")
    assert wire.transport.sent == b""


def test_an_aborted_reply_ends_the_connection_and_tells_nobody() -> None:
    wire, exchange = request()
    told: list[str] = []
    exchange.on_disconnect = lambda: told.append("left")
    exchange.start(200, [])

    exchange.abort()

    assert wire.transport.was_aborted
    assert told == []
    assert wire.floor.in_flight == 0


def test_a_released_body_gives_its_memory_back_before_the_reply_ends() -> None:
    wire, exchange = request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    assert wire.floor.bodies.held == 3

    exchange.release_body()

    assert wire.floor.bodies.held == 0
    assert exchange.body == b""
    exchange.reply(200, [], b"")
    assert wire.floor.bodies.held == 0
