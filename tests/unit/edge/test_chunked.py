"""The chunked coding of request bodies: exact, bounded, and the same however it is cut (E2)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuckshop.domain.errors import InvalidRequestError, RequestTooLargeError
from tuckshop.edge.chunked import LINES_A_FEED, ChunkedDecoder


def decode(data: bytes, cut: int = 1 << 30) -> tuple[bytes, bytes]:
    """Body and what follows it."""
    decoder = ChunkedDecoder(body_max_bytes=1 << 20, extension_max_bytes=100, trailer_max_bytes=200)
    body = b""
    for start in range(0, len(data), cut):
        part = data[start : start + cut]
        while part and not decoder.done:
            pieces, used = decoder.feed(part)
            body += b"".join(pieces)
            part = part[used:]
        if decoder.done:
            return body, part + data[start + cut :]
    raise AssertionError("not complete")


def test_chunks_extensions_and_trailers_are_read() -> None:
    data = b'3;a=b\r\nabc\r\n0A ; x="y;z" ; k\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET /'

    assert decode(data) == (b"abc0123456789", b"GET /")


@pytest.mark.parametrize(
    "data",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"3\r\r\nabc\r\n0\r\n\r\n",
        b"\r\n3\r\nabc\r\n0\r\n\r\n",
        b"-1\r\nabc\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nabc",
        b"3;a\x00=b\r\nabc\r\n0\r\n\r\n",
        b"3;a\n=b\r\nabc\r\n0\r\n\r\n",
        b"3;" + b"a" * 200 + b"\r\nabc\r\n0\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nbad field: x\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nX: a\x00\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 60 + b"\r\n",
        b"0\r\nX: " + b"y" * 300,
        b"0\n\n",
    ],
)
@pytest.mark.parametrize("cut", [1, 3, 1 << 30])
def test_what_is_malformed_or_too_large_is_refused(data: bytes, cut: int) -> None:
    with pytest.raises(InvalidRequestError):
        decode(data, cut)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    rest=st.binary(max_size=10),
    cut=st.integers(min_value=1, max_value=50),
)
@settings(max_examples=100, deadline=None)
def test_a_body_does_not_depend_on_how_it_was_cut(
    chunks: list[bytes], rest: bytes, cut: int
) -> None:
    coded = b"".join(b"%X\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"

    assert decode(coded + rest, cut) == (b"".join(chunks), rest)


@pytest.mark.parametrize("size", [b"fffff", b"ffffffffffffffff", b"0100001"])
def test_a_chunk_that_would_be_too_much_is_refused_by_its_first_line(size: bytes) -> None:
    """E2, E7: none of it is waited for."""
    decoder = ChunkedDecoder(body_max_bytes=0xFFFF, extension_max_bytes=9, trailer_max_bytes=9)

    with pytest.raises(RequestTooLargeError):
        decoder.feed(b"2\r\nab\r\n" + size + b"\r\n")


def test_many_small_chunks_are_taken_a_few_at_a_time() -> None:
    """Section 8: the rest of a read waits until others had their turn."""
    decoder = ChunkedDecoder(body_max_bytes=1 << 20, extension_max_bytes=9, trailer_max_bytes=9)
    data = b"1\r\nx\r\n" * 10_000

    pieces, used = decoder.feed(data)

    assert len(pieces) <= LINES_A_FEED
    assert used < len(data) / 2


def test_chunks_that_are_nearly_all_framing_are_refused() -> None:
    """A body of 20 MiB in single bytes would be 120 MiB to look through."""
    with pytest.raises(InvalidRequestError, match="framing"):
        decode(b"1\r\nx\r\n" * 30_000 + b"0\r\n\r\n")
    assert decode(b"9\r\n123456789\r\n" * 30_000 + b"0\r\n\r\n")[0] == b"123456789" * 30_000
    assert decode(b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")[0] == b"x" * 10_000
