"""One connection: requests in order, deadlines, bounds, and one end for every exchange (E1, E2, E6, E7)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.edge.fakes import RecordingApp, Wire
from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.edge.limits import EdgeLimits

POST = b"POST /v1/x?q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST /v1/y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
GET = b"GET /v1/z HTTP/1.1\r\nHost: a\r\n\r\n"
BAD = b"GET /v1/z HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"


@given(
    requests=st.lists(st.sampled_from([POST, CHUNKED, GET, BAD]), min_size=1, max_size=5),
    cut=st.integers(min_value=1, max_value=200),
)
@settings(max_examples=100, deadline=None)
def test_requests_are_the_same_however_their_bytes_are_cut(requests: list[bytes], cut: int) -> None:
    whole, pieces = Wire(), Wire()

    whole.feed(b"".join(requests))
    pieces.feed(b"".join(requests), cut)

    assert pieces.app.seen == whole.app.seen
    assert pieces.transport.sent == whole.transport.sent
    good = requests.index(BAD) if BAD in requests else len(requests)
    assert whole.statuses() == [200] * good + [400] * (good < len(requests))


@given(
    request=st.sampled_from([POST, CHUNKED, GET]),
    at=st.integers(min_value=0, max_value=90),
    rubbish=st.binary(max_size=10) | st.text("\r\n \t:;,0aA", max_size=6).map(str.encode),
    cut=st.integers(min_value=1, max_value=60),
)
@settings(max_examples=100, deadline=None)
def test_rubbish_is_refused_the_same_way_however_it_is_cut(
    request: bytes, at: int, rubbish: bytes, cut: int
) -> None:
    """E2: never an exception, never two readings."""
    raw = request[:at] + rubbish + request[at:] + GET
    whole, pieces = Wire(), Wire()

    whole.feed(raw)
    pieces.feed(raw, cut)

    assert pieces.app.seen == whole.app.seen
    assert pieces.statuses() == whole.statuses()


def test_a_pipelined_request_waits_for_the_reply_before_it() -> None:
    wire = Wire(RecordingApp(hold=True))

    wire.feed(POST + GET + GET)

    assert [seen[1] for seen in wire.app.seen] == ["/v1/x"]
    wire.app.exchanges[0].reply(200, [], b"first")
    assert [seen[1] for seen in wire.app.seen] == ["/v1/x", "/v1/z"]
    wire.app.exchanges[1].reply(200, [], b"second")
    wire.app.exchanges[2].reply(200, [], b"third")
    assert wire.transport.sent.index(b"first") < wire.transport.sent.index(b"third")


def test_reading_pauses_when_too_much_comes_ahead_of_its_turn() -> None:
    """E6: what a client sends ahead is bounded."""
    wire = Wire(RecordingApp(hold=True), EdgeLimits(pipelined_max_bytes=100))

    wire.feed(GET * 10)

    assert not wire.transport.reading
    for index in range(10):
        wire.app.exchanges[index].reply(200, [], b"")
    assert wire.transport.reading
    assert wire.statuses() == [200] * 10


def test_a_thousand_pipelined_requests_are_served_without_recursion() -> None:
    wire = Wire()

    wire.feed(GET * 1000)
    wire.loop.pass_time(0)

    assert wire.statuses() == [200] * 1000


def test_one_client_that_sends_ahead_leaves_others_their_turn() -> None:
    """E7: what came in one read is served a few requests at a time."""
    wire = Wire()

    wire.feed(GET * 1000)

    assert len(wire.statuses()) <= 20
    wire.loop.pass_time(0)
    assert len(wire.statuses()) == 1000


def test_a_client_that_leaves_its_replies_unread_is_served_no_further() -> None:
    """E6: a reply can be a thousand times its request, so what waits unsent is bounded."""
    wire = Wire()
    wire.connection.pause_writing()

    wire.feed(GET * 3)
    assert wire.statuses() == []
    assert not wire.transport.reading

    wire.connection.resume_writing()
    assert wire.statuses() == [200] * 3
    assert wire.transport.reading


def test_a_client_that_never_reads_its_replies_is_cut_off() -> None:
    wire = Wire(limits=EdgeLimits(stall_timeout_s=60))
    wire.feed(GET)
    wire.connection.pause_writing()

    wire.feed(GET)
    wire.loop.pass_time(59)
    assert not wire.transport.was_aborted
    wire.loop.pass_time(2)

    assert wire.transport.was_aborted


def test_ordinary_requests_touch_no_timer() -> None:
    wire = Wire()
    wire.feed(GET)
    before = wire.loop.made

    for _ in range(50):
        wire.loop.pass_time(0.01)
        wire.feed(POST)

    assert wire.loop.made == before


def test_a_head_must_be_complete_in_time_and_drips_do_not_prolong_it() -> None:
    """E1."""
    wire = Wire(limits=EdgeLimits(head_timeout_s=10))
    wire.feed(POST)
    wire.loop.pass_time(5)

    for byte in GET[:9]:
        wire.feed(bytes([byte]))
        wire.loop.pass_time(1)
    assert wire.statuses() == [200]
    wire.loop.pass_time(1.1)

    assert wire.statuses() == [200, 408]
    assert wire.app.refused == [("request_timeout", "")]
    assert wire.transport.eof_written


def test_the_first_head_has_its_time_from_the_accept() -> None:
    """E1."""
    wire = Wire()
    wire.loop.pass_time(9)
    wire.feed(b"GET")
    wire.loop.pass_time(1.1)

    assert wire.statuses() == [408]


def test_a_connection_on_which_nothing_was_sent_is_closed_without_a_word() -> None:
    wire = Wire()

    wire.loop.pass_time(10.1)

    assert not wire.transport.is_open
    assert wire.transport.sent == b""


def test_an_idle_connection_is_closed_after_its_time() -> None:
    wire = Wire()
    wire.feed(GET)
    wire.loop.pass_time(29)
    wire.feed(GET)
    wire.loop.pass_time(29)
    assert wire.transport.is_open

    wire.loop.pass_time(1.1)

    assert not wire.transport.is_open


def test_a_body_must_be_complete_in_time() -> None:
    """E1."""
    wire = Wire()
    wire.feed(POST[:-1])
    wire.loop.pass_time(29.9)
    assert wire.statuses() == []

    wire.loop.pass_time(0.2)

    assert wire.statuses() == [408]
    assert wire.floor.bodies.held == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_has_time_by_its_size(chunked: bool) -> None:
    """E1: 64 KiB a second are enough."""
    size = 64 * 1024 * 40
    wire = Wire(RecordingApp(max_body=size))
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    wire.feed(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
    piece = b"x" * 65_536
    for _ in range(39):
        wire.feed(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
        wire.loop.pass_time(0.98)
    assert wire.statuses() == []

    wire.loop.pass_time(2)

    assert wire.statuses() == [408]


def test_a_body_that_is_too_large_by_its_length_is_refused_before_it_comes() -> None:
    wire = Wire(RecordingApp(max_body=100_000))

    wire.feed(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n")

    assert wire.statuses() == [413]
    assert wire.app.refused == [("request_too_large", "/p")]
    wire.feed(b"x" * 1000)
    wire.loop.pass_time(2.1)
    assert wire.transport.was_aborted


def test_a_chunked_body_is_refused_where_it_becomes_too_large() -> None:
    wire = Wire(RecordingApp(max_body=5))

    wire.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
    assert wire.statuses() == []
    wire.feed(b"1\r\nf")

    assert wire.statuses() == [413]


def test_a_chunk_that_would_be_too_much_is_not_waited_for() -> None:
    """E2: refused by its size, however absurd, before any of it."""
    for size in (b"6", b"ffffffffffffffff"):
        wire = Wire(RecordingApp(max_body=5))

        wire.feed(CHUNKED.partition(b"2\r\n")[0] + size + b"\r\n")

        assert wire.statuses() == [413]


@pytest.mark.parametrize("count", [1, 20_000])
def test_a_body_of_many_small_chunks_leaves_others_their_turn(count: int) -> None:
    """Section 8, E7: and is whole in the end, with the request behind it."""
    wire = Wire(RecordingApp(max_body=10 * count))
    body = b"a\r\n0123456789\r\n" * count + b"0\r\n\r\n"

    wire.feed(CHUNKED.partition(b"2\r\n")[0] + body + GET)
    assert wire.transport.reading is (count == 1)
    wire.loop.pass_time(0)

    assert wire.statuses() == [200, 200]
    assert wire.app.seen[0][4] == b"0123456789" * count
    assert wire.transport.reading


def test_a_content_coding_is_refused() -> None:
    """E5."""
    wire = Wire()

    wire.feed(POST.replace(b"Host", b"Content-Encoding: gzip\r\nHost"))

    assert wire.app.refused == [("unsupported_content_encoding", "/v1/x")]
    assert wire.statuses() == [415]


def test_a_refused_small_request_is_read_so_that_the_connection_lives_on() -> None:
    wire = Wire()
    wire.app.refusal = InvalidApiKeyError("unknown")

    wire.feed(POST[:-1])
    assert wire.statuses() == []
    wire.feed(POST[-1:])
    wire.app.refusal = None
    wire.feed(POST)

    assert wire.statuses() == [401, 200]
    assert len(wire.app.seen) == 1
    assert wire.transport.is_open


def test_bodies_together_are_bounded() -> None:
    """E7: beyond it 503, and what was held is given back."""
    wire = Wire(limits=EdgeLimits(buffered_bodies_max_bytes=10))
    wire.floor.bodies.held = 8

    wire.feed(POST)

    assert wire.statuses() == [503]
    assert wire.floor.bodies.held == 8


def test_calls_beyond_the_bound_get_503_and_running_ones_go_on() -> None:
    """E7."""
    wire = Wire(limits=EdgeLimits(in_flight_max=1))
    wire.floor.in_flight = 1

    wire.feed(GET)

    assert wire.app.refused == [("server_busy", "/v1/z")]


def test_100_continue_is_sent_once_the_head_is_admitted() -> None:
    wire = Wire()

    wire.feed(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert wire.transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.feed(b"x")

    assert wire.statuses() == [100, 200]


def test_a_refused_expectation_is_answered_without_100() -> None:
    wire = Wire()
    wire.app.refusal = InvalidApiKeyError("unknown")

    wire.feed(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")

    assert wire.statuses() == [401]


@pytest.mark.parametrize("stage", ["before the reply", "within the reply"])
def test_a_client_that_closes_has_left_and_that_is_told_once(stage: str) -> None:
    """E6: half-closed counts as left, because clients that give up send just that."""
    wire = Wire(RecordingApp(hold=True))
    left: list[str] = []
    wire.feed(POST)
    exchange = wire.app.exchanges[0]
    exchange.on_disconnect = lambda: left.append("left")
    if stage == "within the reply":
        exchange.start(200, [])
        exchange.write(b"piece")

    wire.leave()

    assert left == ["left"]
    assert exchange.client_left
    exchange.write(b"nobody reads this")
    exchange.end()
    assert wire.floor.in_flight == 0
    assert wire.floor.bodies.held == 0


def test_a_client_that_leaves_after_its_reply_is_not_told() -> None:
    wire = Wire(RecordingApp(hold=True))
    left: list[str] = []
    wire.feed(POST)
    wire.app.exchanges[0].on_disconnect = lambda: left.append("left")
    wire.app.exchanges[0].reply(200, [], b"")

    wire.leave()

    assert left == []


def test_a_slow_reader_pauses_its_source_and_a_stalled_one_is_cut() -> None:
    """E6, E1: 60 s without reading anything."""
    wire = Wire(RecordingApp(hold=True))
    wire.feed(POST)
    exchange = wire.app.exchanges[0]
    told: list[str] = []
    exchange.on_pause = lambda: told.append("pause")
    exchange.on_resume = lambda: told.append("resume")
    exchange.on_disconnect = lambda: told.append("left")
    exchange.start(200, [])
    wire.transport.unsent = 100
    wire.connection.pause_writing()
    wire.connection.resume_writing()
    wire.loop.pass_time(100)
    assert told == ["pause", "resume"]

    wire.connection.pause_writing()
    wire.loop.pass_time(59)
    wire.transport.unsent = 90  # it read a little
    wire.loop.pass_time(59)
    assert told == ["pause", "resume", "pause"]
    wire.loop.pass_time(62)

    assert told == ["pause", "resume", "pause", "left"]
    assert wire.transport.was_aborted


def test_an_unread_tail_does_not_keep_a_finished_connection_for_ever() -> None:
    wire = Wire()
    wire.feed(GET.replace(b"Host", b"Connection: close\r\nHost"))
    assert not wire.transport.is_open

    wire = Wire(RecordingApp(hold=True))
    wire.feed(GET.replace(b"Host", b"Connection: close\r\nHost"))
    wire.transport.unsent = 10
    wire.app.exchanges[0].reply(200, [], b"x")
    assert not wire.transport.was_aborted
    wire.loop.pass_time(61)

    assert wire.transport.was_aborted


def test_no_further_request_is_taken_while_draining() -> None:
    wire = Wire(RecordingApp(hold=True))
    wire.feed(GET + GET)
    wire.floor.is_draining = True

    wire.app.exchanges[0].reply(200, [], b"")

    assert b"connection: close" in wire.transport.sent
    assert not wire.transport.is_open
    assert len(wire.app.seen) == 1
