"""
What a hostile client writes to its socket, against a running server (E1 to E7).

Behind each malformed request stands a sound one, with a key that works: it must never be served, because whoever
stands in between may have taken both for one.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import NewKey, key_of_new_member
from tests.acceptance.test_hostile import CHAT, chat, head, port_of, resident_mb
from tests.support.http import parsed
from tests.support.processes import COMMAND, Mock, Server, call, start_server
from tuckshop.domain.keys import new_secret

STOLEN = "stolen"


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=60) as sock:
        yield sock


def until_closed(sock: socket.socket) -> bytes:
    said = b""
    try:
        while piece := sock.recv(65_536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def said_to(server: Server, raw: bytes) -> bytes:
    with connected(server) as sock:
        sock.sendall(raw)
        return until_closed(sock)


def soon(holds: Callable[[], bool], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


SOUND = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\n"
LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

MALFORMED = {
    # Two framings, or one that two readers read in two ways.
    "CL.TE": SOUND + LENGTH + CHUNKED + b"\r\n0\r\n\r\n",
    "TE.CL": SOUND + CHUNKED + LENGTH + b"\r\n0\r\n\r\n",
    "TE.TE": SOUND + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "TE.TE, one unknown": SOUND + CHUNKED + b"Transfer-Encoding: cow\r\n\r\n0\r\n\r\n",
    "TE in a list": SOUND + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "TE after gzip": SOUND + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE then identity": SOUND + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "TE with a prefix": SOUND + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE with a parameter": SOUND + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "TE quoted": SOUND + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "TE behind a vertical tab": SOUND + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "TE before a NUL": SOUND + b"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "TE with a space before the colon": SOUND + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "TE folded": SOUND + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "TE in a folded field": SOUND + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE behind a bare LF": SOUND + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE behind a bare CR": SOUND + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE in HTTP/1.0": SOUND.replace(b"/1.1", b"/1.0") + CHUNKED + b"\r\n0\r\n\r\n",
    "TE empty": SOUND + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "CL twice": SOUND + LENGTH + LENGTH + b"\r\n{    ",
    "CL twice, not alike": SOUND + LENGTH + b"Content-Length: 0\r\n\r\n{    ",
    "CL in a list": SOUND + b"Content-Length: 5, 5\r\n\r\n{    ",
    "CL with a plus": SOUND + b"Content-Length: +5\r\n\r\n{    ",
    "CL with a minus": SOUND + b"Content-Length: -5\r\n\r\n{    ",
    "CL in hex": SOUND + b"Content-Length: 0x5\r\n\r\n{    ",
    "CL with an underscore": SOUND + b"Content-Length: 0_5\r\n\r\n{    ",
    "CL with a space in it": SOUND + b"Content-Length: 5 5\r\n\r\n{    ",
    "CL with a fraction": SOUND + b"Content-Length: 5.0\r\n\r\n{    ",
    "CL in other digits": SOUND + "Content-Length: \u0665\r\n\r\n{    ".encode(),
    "CL of 64 bits": SOUND + b"Content-Length: 18446744073709551621\r\n\r\n{    ",
    "CL empty": SOUND + b"Content-Length:\r\n\r\n{    ",
    "CL with a space before the colon": SOUND + b"Content-Length : 5\r\n\r\n{    ",
    # Chunks.
    "a chunk's size in hex": SOUND + CHUNKED + b"\r\n0x5\r\n{    \r\n0\r\n\r\n",
    "a chunk's size with a sign": SOUND + CHUNKED + b"\r\n+5\r\n{    \r\n0\r\n\r\n",
    "a chunk's size before a space": SOUND + CHUNKED + b"\r\n5 \r\n{    \r\n0\r\n\r\n",
    "a chunk's size and LF": SOUND + CHUNKED + b"\r\n5\n{    \r\n0\r\n\r\n",
    "an LF in an extension": SOUND + CHUNKED + b"\r\n5;a\nb\r\n{    \r\n0\r\n\r\n",
    "a CR in an extension": SOUND + CHUNKED + b"\r\n5;a\rb\r\n{    \r\n0\r\n\r\n",
    "an endless extension": SOUND + CHUNKED + b"\r\n5;" + b"a" * 5_000 + b"\r\n{    \r\n0\r\n\r\n",
    "a chunk that is longer": SOUND + CHUNKED + b"\r\n3\r\n{    \r\n0\r\n\r\n",
    "a chunk without its line end": SOUND + CHUNKED + b"\r\n5\r\n{    0\r\n\r\n",
    "no size": SOUND + CHUNKED + b"\r\n\r\n{    \r\n0\r\n\r\n",
    "a length in the trailers": SOUND + CHUNKED + b"\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a host in the trailers": SOUND + CHUNKED + b"\r\n0\r\nHost: b\r\n\r\n",
    "endless trailers": SOUND + CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
    "a bare LF at the end of the trailers": SOUND + CHUNKED + b"\r\n0\r\n\n",
    # Fields and lines.
    "a field without a colon": SOUND + b"X\r\n\r\n",
    "a field without a name": SOUND + b": x\r\n\r\n",
    "a space in a name": SOUND + b"X Y: z\r\n\r\n",
    "a NUL in a value": SOUND + b"X: \x00\r\n\r\n",
    "folded": SOUND + b"X: y\r\n\tz\r\n\r\n",
    "the first field folded": SOUND.replace(b"Host", b" Host") + b"\r\n",
    "bare LFs": SOUND.replace(b"\r", b"") + b"\n",
    "a bare LF before the end": SOUND + b"\n\r\n",
    "a bare CR": SOUND + b"X: y\r\rz: a\r\n\r\n",
    # Versions, targets, methods.
    "HTTP/0.9": b"GET /v1/models\r\n",
    "HTTP/0.9 with a head": b"GET /v1/models HTTP/0.9\r\nHost: a\r\n\r\n",
    "HTTP/1.2": SOUND.replace(b"/1.1", b"/1.2") + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
    "an empty line first": b"\r\n" + SOUND + b"\r\n",
    "absolute": SOUND.replace(b"/v1", b"http://a/v1") + b"\r\n",
    "absolute, elsewhere": SOUND.replace(b"/v1", b"http://127.0.0.1:1/v1") + b"\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer KEY\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": SOUND.replace(b"completions", b"completions#x") + b"\r\n",
    "a space in the target": SOUND.replace(b"completions", b"comp letions") + b"\r\n",
    "a tab for a space": SOUND.replace(b"POST ", b"POST\t") + b"\r\n",
    "eight bits in the target": SOUND.replace(b"completions", b"completions\xff") + b"\r\n",
    "no host": SOUND.replace(b"Host: a\r\n", b"") + b"\r\n",
    "two hosts": SOUND + b"Host: a\r\n\r\n",
    "two hosts, not alike": SOUND + b"host: b\r\n\r\n",
    "a host with a path": SOUND.replace(b"Host: a", b"Host: a/b") + b"\r\n",
    "a host with a user": SOUND.replace(b"Host: a", b"Host: u@a") + b"\r\n",
    "a host in a list": SOUND.replace(b"Host: a", b"Host: a, b") + b"\r\n",
    "an empty host": SOUND.replace(b"Host: a", b"Host:") + b"\r\n",
    "another expectation": SOUND + LENGTH + b"Expect: 200-ok\r\n\r\n{    ",
}  # fmt: skip


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=list(MALFORMED))
def test_what_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read(
    server: Server, mock: Mock, new_key: NewKey, raw: bytes
) -> None:
    """E2: 400, and the connection is closed."""
    key = new_key().encode()
    behind = chat(f"[[echo:{STOLEN}]]")
    stolen = SOUND + b"Content-Length: %d\r\n\r\n" % len(behind) + behind

    said = said_to(server, (raw + stolen).replace(b"KEY", key))

    assert said.count(b"HTTP/1.1 ") == 1
    assert parsed(said).status == 400
    assert parsed(said).code == "invalid_request"
    assert parsed(said).headers["connection"] == "close"
    assert STOLEN not in mock.record.read_text()


@pytest.mark.parametrize("method", ["TRACE", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_another_method_is_refused_and_tells_nothing_back(
    server: Server, new_key: NewKey, method: str
) -> None:
    """E3: TRACE would show a credential to whoever makes a browser ask."""
    said = said_to(server, head(method, CHAT, new_key(), 0, "x-canary: canary-3c"))

    assert parsed(said).status == 405
    assert b"canary-3c" not in said
    assert b"sk-tuck" not in said


@pytest.mark.parametrize(
    "fields",
    [
        ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"),
        ("connection: upgrade", "upgrade: websocket", "sec-websocket-key: x", "sec-websocket-version: 13"),
        ("connection: authorization",),
        ("connection: host, content-length, x-tuckshop-tag",),
        ("te: trailers, chunked",),
        ("content_length: 3", "transfer_encoding: chunked"),
        ("x-content-length: 3", "x-transfer-encoding: chunked"),
        ("max-forwards: 0",),
        ("expect:  100-continue",),
    ],
)  # fmt: skip
def test_fields_that_might_frame_or_route_elsewhere_change_nothing(
    server: Server, mock: Mock, new_key: NewKey, fields: tuple[str, ...]
) -> None:
    """E3, E4: no upgrade is made, nothing that a field nominates is dropped from the reading."""
    body = chat("[[echo:plain]]")
    raw = head("POST", CHAT, new_key(), len(body), *fields).replace(
        b"connection: close\r\n", b"", 1
    )
    raw = raw.replace(b"content-length", b"connection: close\r\ncontent-length", 1)

    reply = parsed(said_to(server, raw + body))

    assert reply.status == 200
    assert b"plain" in reply.body
    sent = {name.lower() for name in dict(mock.requests()[-1]["headers"])}
    named = {field.partition(":")[0] for field in fields}
    assert sent & named <= {"connection"}


def test_a_wait_for_100_is_answered_only_where_the_body_is_wanted(
    server: Server, new_key: NewKey
) -> None:
    body = chat("[[echo:hi]]")
    key = new_key()
    with connected(server) as sock:
        sock.sendall(head("POST", CHAT, key, len(body), "expect: 100-continue"))
        assert sock.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert parsed(until_closed(sock)).status == 200
    for raw, status in (
        (head("POST", CHAT, new_secret(), len(body), "expect: 100-continue"), 401),
        (head("POST", CHAT, key, 99_999_999, "expect: 100-continue"), 413),
        (head("POST", "/v1/nothing", key, len(body), "expect: 100-continue"), 404),
    ):
        assert parsed(said_to(server, raw)).status == status


def test_what_was_sent_ahead_is_served_up_to_what_is_malformed(
    server: Server, new_key: NewKey
) -> None:
    """E2: in order, each with its own answer."""
    key = new_key()
    one = f"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    other = one.replace(key.encode(), new_secret().encode())

    said = said_to(server, one + other + one + one.replace(b"host: a", b"host: a b") + one)

    assert [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]] == [200, 401, 200, 400]


@pytest.mark.parametrize("size", [b"ffffffffffffffff", b"7fffffff", b"1400001"])
def test_a_chunk_of_absurd_size_is_refused_by_its_first_line(
    server: Server, new_key: NewKey, size: bytes
) -> None:
    """E2: its data is not waited for."""
    raw = SOUND.replace(b"KEY", new_key().encode()) + CHUNKED + b"\r\n" + size + b"\r\n"
    began = time.monotonic()

    reply = parsed(said_to(server, raw))

    assert reply.code == "request_too_large"
    assert time.monotonic() - began < 15  # a body has 30 s


@pytest.mark.parametrize("moment", ["in the head", "in the body", "at once", "within the stream"])
def test_a_client_that_half_closes_has_left(
    server: Server, mock: Mock, new_key: NewKey, moment: str
) -> None:
    """E6: one resolution, whenever it is; and nothing of it stays."""
    key = new_key()
    body = chat("[[tokens:30]] [[speed:30]]", stream=True)
    tag = f"half-{moment.replace(' ', '-')}"
    raw = head("POST", CHAT, key, len(body), f"x-tuckshop-tag: {tag}") + body
    cut = {"in the head": 50, "in the body": len(raw) - 1}.get(moment, len(raw))
    with connected(server) as sock:
        sock.sendall(raw[:cut])
        if moment == "within the stream":
            assert b"HTTP/1.1 200" in sock.recv(100)
        sock.shutdown(socket.SHUT_WR)
        said = until_closed(sock)

    assert b"[DONE]" not in said
    assert soon(lambda: mock.state()["open"] == 0)
    if moment == "within the stream":
        assert soon(lambda: (_row(server, tag) or {}).get("status") == "settled")
    row = _row(server, tag)
    if cut < len(raw):
        assert row is None
    elif row is not None:  # else the client was gone before anything was held for it
        assert row["status"] in ("settled", "voided")
        assert "client_left" in row["flags"]
        assert row["output_tokens"] == (30 if row["status"] == "settled" else 0)


def _row(server: Server, tag: str) -> dict[str, Any] | None:
    rows = server.made("GET", "/requests?limit=20")["data"]
    return next((row for row in rows if row["tag"] == tag), None)


def test_a_flood_of_unknown_keys_takes_no_memory_and_no_time_of_others(server: Server) -> None:
    """E7, K15: 20,000 different ones, none of which is remembered."""
    before = resident_mb(server)
    with connected(server) as sock:
        for _ in range(40):
            raw = "".join(
                f"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {new_secret()}\r\n\r\n"
                for _ in range(500)
            )
            sock.sendall(raw.encode())
            answers = 0
            while answers < 500:
                answers += sock.recv(1 << 20).count(b"HTTP/1.1 401")
            assert call("GET", f"{server.url}/healthz")[0] == 200

    assert resident_mb(server) - before < 30
    assert "401" not in {row["status"] for row in server.made("GET", "/requests?limit=5")["data"]}


def test_a_server_without_file_descriptors_goes_on(folder: Path, mock: Mock) -> None:
    """E7: the stream that runs runs on, and who comes when there are some again is served."""
    server = start_server(
        folder, mock.url, command=("sh", "-c", 'ulimit -n 90; exec "$0" serve', str(COMMAND))
    )
    crowd: list[socket.socket] = []
    try:
        key = key_of_new_member(server, "crowd")
        body = chat("[[tokens:60]] [[speed:20]]", stream=True)
        with connected(server) as stream:
            stream.sendall(head("POST", CHAT, key, len(body)) + body)
            assert b"HTTP/1.1 200" in stream.recv(100)
            for _ in range(200):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port_of(server)))
                crowd.append(sock)
            assert b"[DONE]" in until_closed(stream)
        for sock in crowd:
            sock.close()
        assert soon(lambda: _is_served(server, key))
        assert "out of file descriptors" in server.log.read_text()
    finally:
        for sock in crowd:
            sock.close()
        assert server.stop() == 0


def _is_served(server: Server, key: str) -> bool:
    try:
        return parsed(said_to(server, head("GET", "/v1/models", key, 0))).status == 200
    except OSError:
        return False
