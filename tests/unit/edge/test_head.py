"""Request heads: what is clean passes, what is not is refused, never repaired (E2, E3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.errors import InvalidRequestError
from tuckshop.edge.head import HeadReader, RequestHead, check_beginning, parse_head

GET = b"GET /v1/models HTTP/1.1\r\nHost: shop.test\r\n"


def parse(raw: bytes) -> RequestHead:
    return parse_head(raw, max_fields=100)


def test_a_clean_head_is_told_as_it_came() -> None:
    head = parse(
        b"POST /v1/chat%20x//../y?a=%2F&b HTTP/1.1\r\nHost: [::1]:8000\r\nX-Odd:  two words \r\n"
        b"Content-Length: 12\r\n\r\n"
    )

    assert (head.method, head.path, head.query) == ("POST", "/v1/chat%20x//../y", "a=%2F&b")
    assert head.headers[1] == (b"x-odd", b"two words")
    assert (head.content_length, head.chunked, head.keep_alive) == (12, False, True)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"PRI * HTTP/2.0",
        b"GET / http/1.1",
        b"GET / HTTP/1.1 ",
        b"GET  / HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b" GET / HTTP/1.1",
        b"\r\nGET / HTTP/1.1",
        b"get / HTTP/1.1",
        b"FROBNICATE / HTTP/1.1",
        b"GET http://elsewhere.test/ HTTP/1.1",
        b"CONNECT elsewhere.test:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET v1/models HTTP/1.1",
        b"GET /v1#x HTTP/1.1",
        b"GET /\xc3\xa4 HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET / HTTP/1.1\nX: y",
    ],
)
def test_a_request_line_that_is_not_exact_is_refused(line: bytes) -> None:
    """E2. httptools lets several of these through."""
    with pytest.raises(InvalidRequestError):
        parse(line + b"\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize(
    "hosts",
    [
        b"",
        b"Host: a\r\nHost: a\r\n",
        b"Host: a\r\nhost: b\r\n",
        b"Host:\r\n",
        b"Host: a b\r\n",
        b"Host: a/b\r\n",
        b"Host: user@a\r\n",
        b"Host: a:\r\n",
        b"Host: a:80x\r\n",
        b"Host: a, b\r\n",
        b"Host: [::1\r\n",
        b"Host: http://a\r\n",
    ],
)
def test_exactly_one_clean_host_is_needed(hosts: bytes) -> None:
    """E2."""
    with pytest.raises(InvalidRequestError):
        parse(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")


@pytest.mark.parametrize("host", [b"a", b"a_b.c-d:8000", b"127.0.0.1:1", b"[::1]", b"[fe80::1]:80"])
def test_usual_hosts_pass(host: bytes) -> None:
    parse(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1, 1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x1\r\n",
        b"Content-Length: 1 1\r\n",
        b"Content-Length: 1.0\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length : 1\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b'Transfer-Encoding: "chunked"\r\n',
        b"Transfer-Encoding: chunked;q=1\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"Transfer-Encoding\r\n",
        b"X: a\r\n folded\r\n",
        b"X: a\x00b\r\n",
        b"X: a\rb\r\n",
        b"X: a\nY: b\r\n",
        b"X\x00: a\r\n",
        b"X Y: a\r\n",
        b": a\r\n",
        b"\xff: a\r\n",
        b"Expect: something-else\r\n",
    ],
)
def test_framing_and_fields_that_could_be_read_in_two_ways_are_refused(fields: bytes) -> None:
    """E2: smuggling lives where two parsers disagree."""
    with pytest.raises(InvalidRequestError):
        parse(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")


def test_chunks_are_refused_in_http_1_0() -> None:
    """E2."""
    with pytest.raises(InvalidRequestError):
        parse(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_http_1_0_needs_no_host_and_is_not_kept_alive() -> None:
    head = parse(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    assert head.version_minor == 0
    assert not head.keep_alive


def test_connection_close_is_found_in_a_list() -> None:
    assert not parse(GET + b"Connection: foo , Close\r\n\r\n").keep_alive


def test_a_wish_to_upgrade_is_ignored() -> None:
    """No other protocol is offered; the request is read as what it is, its body too."""
    head = parse(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"Content-Length: 3\r\n\r\n"
    )

    assert head.content_length == 3


def test_content_coding_and_expectation_are_told() -> None:
    head = parse(GET + b"Content-Encoding: gzip\r\nExpect: 100-Continue\r\n\r\n")

    assert head.content_coding == b"gzip"
    assert head.expects_continue


def test_a_head_of_too_many_fields_is_refused() -> None:
    parse(GET + b"X: y\r\n" * 99 + b"\r\n")
    with pytest.raises(InvalidRequestError, match="100"):
        parse(GET + b"X: y\r\n" * 100 + b"\r\n")


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /\r\n",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.1\n",
        b"\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nHost: a\n",
        b"GET / HTTP/1.1\r\nHost: a\rb",
    ],
)
def test_a_beginning_that_cannot_become_a_head_is_refused_at_once(beginning: bytes) -> None:
    """HTTP/0.9 and TLS on this port must not wait for a deadline."""

    def drip() -> None:
        for end in range(1, len(beginning) + 1):
            check_beginning(beginning[:end], start=end - 1)

    with pytest.raises(InvalidRequestError):
        drip()
    with pytest.raises(InvalidRequestError):
        check_beginning(beginning, start=0)


FIELDS = st.sampled_from(
    [
        b"Host: a", b"Host: b", b"Content-Length: 1", b"content-length:  12 ", b"Content-Length: 0",
        b"Content-Length: 012", b"Content-Length: 12",
        b"X-Content-Length: 7", b"X: content-length: 7", b"Authorization: Bearer a", b"Transfer-Encoding: chunked",
        b"Connection: close", b"Content-Length: 1234567890123456", b"Content-Length:", b"Expect: 100-continue",
    ]
)  # fmt: skip
HEADS = st.builds(
    lambda line, fields: b"\r\n".join([line, *fields, b"", b""]),
    st.sampled_from([b"POST /a HTTP/1.1", b"GET /a HTTP/1.1", b"GET /a HTTP/1.0"]),
    st.lists(FIELDS, max_size=3).map(lambda fields: [b"Host: a", *fields]),
)


def said(read: Callable[[bytes], RequestHead], raw: bytes) -> object:
    try:
        head = read(raw)
    except InvalidRequestError as error:
        return str(error)
    assert head.learned is None
    return [getattr(head, name) for name in RequestHead.__slots__]


@given(st.lists(HEADS, max_size=12))
def test_what_a_connection_said_before_changes_nothing(heads: list[bytes]) -> None:
    """E2: a head that is like the last one is read as it would be alone."""
    reader = HeadReader(max_fields=100)

    assert [said(reader.read, raw) for raw in heads] == [said(parse, raw) for raw in heads]


@pytest.mark.parametrize("length", [b"1", b"77", b"012"])
def test_a_head_that_differs_in_its_length_alone_keeps_what_was_learned(length: bytes) -> None:
    """E2: only the length is another; anything else is read anew."""
    reader = HeadReader(max_fields=100)
    raw = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 77\r\nX-Key: 1\r\n\r\n"
    reader.read(raw).learned = "who"

    again = reader.read(raw.replace(b"77", length))
    other = reader.read(raw.replace(b"X-Key: 1", b"X-Key: 2"))

    assert (again.learned, again.content_length) == ("who", int(length))
    assert again.header(b"content-length") == length
    assert other.learned is None
