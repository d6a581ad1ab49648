"""Every number of the HTTP edge is a setting, and a server obeys it (reliability section 9, E1, E2, E5, E7)."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_hostile import CHAT, chat, head, port_of, talk
from tests.support.http import parsed
from tests.support.processes import Mock, Server, call, start_server

SLACK_S = 8  # for a loaded machine: what is told apart are seconds and minutes


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[tuple[Server, str]]:
    """A server whose every number is small, and a key."""
    server = start_server(
        tmp_path_factory.mktemp("strict"),
        mock.url,
        TUCKSHOP_EDGE_HEAD_TIMEOUT_S="1",
        TUCKSHOP_EDGE_BODY_TIMEOUT_S="1",
        TUCKSHOP_EDGE_BODY_MIN_BYTES_PER_S="1000",
        TUCKSHOP_EDGE_KEEPALIVE_TIMEOUT_S="1",
        TUCKSHOP_EDGE_STALL_TIMEOUT_S="1",
        TUCKSHOP_EDGE_HEAD_MAX_BYTES="2000",
        TUCKSHOP_EDGE_HEAD_MAX_FIELDS="10",
        TUCKSHOP_EDGE_BODY_MAX_BYTES="1500",
        TUCKSHOP_EDGE_CHAT_BODY_MAX_BYTES="6000",
        TUCKSHOP_EDGE_JSON_MAX_DEPTH="6",
        TUCKSHOP_EDGE_JSON_MAX_VALUES="40",
        TUCKSHOP_EDGE_MODEL_MAX_CHARS="20",
        TUCKSHOP_EDGE_BUFFERED_BODIES_MAX_BYTES="9000",
        TUCKSHOP_EDGE_UPSTREAM_FIRST_BYTE_TIMEOUT_S="2",
        TUCKSHOP_EDGE_UPSTREAM_GAP_TIMEOUT_S="2",
        TUCKSHOP_EDGE_REQUEST_TIMEOUT_S="4",
        TUCKSHOP_EDGE_FLOOD_PER_SECOND="5",
        TUCKSHOP_EDGE_FLOOD_BURST="100",
    )
    yield server, key_of_new_member(server, "strict")
    assert server.stop() == 0, server.log.read_text()


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=60)


def until_closed(sock: socket.socket) -> tuple[bytes, float]:
    """What still comes, and how long it took to the end."""
    began, said = time.monotonic(), b""
    try:
        while piece := sock.recv(65_536):
            said += piece
    except ConnectionResetError:
        pass
    return said, time.monotonic() - began


@pytest.mark.parametrize("begun", [b"", b"GET /v1/models HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_has_its_time(strict: tuple[Server, str], begun: bytes) -> None:
    """E1."""
    with connect(strict[0]) as sock:
        sock.sendall(begun)
        said, seconds = until_closed(sock)

    assert parsed(said).status == (408 if begun else 0)
    assert 0.5 < seconds < 1 + SLACK_S


def test_a_body_has_its_time_and_a_large_one_by_its_size(strict: tuple[Server, str]) -> None:
    """E1: 1 s, or 5,000 bytes at 1,000 a second."""
    server, key = strict
    for length, expected_s in ((500, 1), (5_000, 5)):
        with connect(server) as sock:
            sock.sendall(head("POST", CHAT, key, length) + b"{")
            said, seconds = until_closed(sock)

        assert parsed(said).code == "request_timeout"
        assert expected_s - 0.5 < seconds < expected_s + SLACK_S


def test_an_idle_connection_has_its_time(strict: tuple[Server, str]) -> None:
    """E1."""
    with connect(strict[0]) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        said, seconds = until_closed(sock)

    assert parsed(said).status == 200
    assert 0.5 < seconds < 1 + SLACK_S


@pytest.mark.parametrize(
    ("size", "fields", "status"), [(1_500, 1, 401), (2_100, 1, 400), (100, 8, 401), (100, 12, 400)]
)
def test_a_head_has_its_size_and_fields(
    strict: tuple[Server, str], size: int, fields: int, status: int
) -> None:
    """E2."""
    named = [f"x-{number}: {'y' * (size // fields)}" for number in range(fields)]
    raw = "\r\n".join(["GET /v1/models HTTP/1.1", "host: a", "connection: close", *named, "", ""])

    assert talk(strict[0], raw.encode()).status == status


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [(CHAT, 6_001, 413), (CHAT, 6_000, 400), ("/v1/embeddings", 1_501, 413), ("/v1/embeddings", 1_500, 400)],
)  # fmt: skip
def test_a_body_has_its_size_by_its_endpoint(
    strict: tuple[Server, str], path: str, length: int, status: int
) -> None:
    server, key = strict

    assert talk(server, head("POST", path, key, length) + b"x" * length).status == status


def test_json_has_its_depth_its_values_and_its_models_name(strict: tuple[Server, str]) -> None:
    """E5."""
    server, key = strict
    fits: list[dict[str, Any]] = [
        {"logit_bias": {str(number): 1 for number in range(30)}},
        {"metadata": {"a": [[[[]]]]}},
    ]
    too_much: list[dict[str, Any]] = [
        {"logit_bias": {str(number): 1 for number in range(40)}},
        {"metadata": {"a": [[[[[]]]]]}},
        {"model": "m" * 21},
    ]
    for bodies, status in ((fits, 200), (too_much, 400)):
        for more in bodies:
            body = chat("[[echo:hi]]", **more)
            reply = talk(server, head("POST", CHAT, key, len(body)) + body)
            assert (reply.status, reply.code) == (
                status,
                None if status == 200 else "invalid_request_body",
            ), (more, reply.body)
    body = chat("hi", model="m" * 20)
    assert talk(server, head("POST", CHAT, key, len(body)) + body).code == "model_not_found"


def test_bodies_have_their_room_together_and_give_it_back(strict: tuple[Server, str]) -> None:
    """E7: 503 with a time to come back; once an upstream answers, its body is no longer counted."""
    server, key = strict
    with connect(server) as one, connect(server) as two:
        one.sendall(head("POST", CHAT, key, 5_900) + b" " * 5_800)
        time.sleep(0.3)
        two.sendall(head("POST", CHAT, key, 5_900) + b" " * 5_800)
        reply = parsed(until_closed(two)[0])
        assert reply.code == "server_busy"
        assert int(reply.headers["retry-after"]) >= 1
        assert call("GET", f"{server.url}/healthz")[0] == 200
        until_closed(one)  # its time is over
    body = chat("[[tokens:40]] [[speed:20]]" + " " * 5_000, stream=True)
    with connect(server) as one, connect(server) as two:
        for sock in (one, two):
            sock.sendall(head("POST", CHAT, key, len(body)) + body)
            assert b"HTTP/1.1 200" in sock.recv(100)


def test_who_reads_nothing_has_their_time(strict: tuple[Server, str]) -> None:
    """E1: both kinds of reply; a call that is cut off is charged as any whose client left."""
    server, key = strict
    body = chat("[[tokens:16000]] [[speed:1000000]]", stream=True)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.connect(("127.0.0.1", port_of(server)))
        sock.settimeout(60)
        sock.sendall(head("POST", CHAT, key, len(body)) + body)
        deadline = time.monotonic() + 30
        rows: list[dict[str, Any]] = []
        while time.monotonic() < deadline and not (rows and rows[0]["status"] == "settled"):
            time.sleep(0.1)
            rows = server.made("GET", "/requests?limit=1")["data"]
            rows = [row for row in rows if "client_left" in row["flags"]]
        assert rows
        assert b"[DONE]" not in until_closed(sock)[0]


def test_the_upstream_has_its_times(strict: tuple[Server, str]) -> None:
    server, key = strict
    for text, fields, code in (
        ("[[first-token-ms:60000]]", {}, "upstream_timeout"),
        ("[[tokens:3]] [[speed:0.1]]", {"stream": True}, "upstream_timeout"),
        ("[[tokens:100]] [[speed:2]]", {"stream": True}, "upstream_timeout"),
    ):
        body = chat(text, **fields)
        began = time.monotonic()
        with connect(server) as sock:
            sock.sendall(head("POST", CHAT, key, len(body)) + body)
            reply = parsed(until_closed(sock)[0])

        assert code in reply.body.decode(), text
        assert time.monotonic() - began < 4 + SLACK_S


def test_a_key_has_its_calls_a_second(strict: tuple[Server, str]) -> None:
    server, _ = strict
    key = key_of_new_member(server, "flood")
    raw = f"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    with connect(server) as sock:
        sock.sendall(raw * 150)
        said = b""
        while said.count(b"HTTP/1.1 ") < 150:
            said += sock.recv(1 << 20)

    assert said.count(b"HTTP/1.1 200") >= 100
    assert said.count(b"HTTP/1.1 429") >= 10


@contextmanager
def held_calls(server: Server, key: str, count: int) -> Iterator[list[socket.socket]]:
    """So many streams under way."""
    body = chat("[[tokens:4000]] [[speed:20]]", stream=True)
    socks = [connect(server) for _ in range(count)]
    try:
        for sock in socks:
            sock.sendall(head("POST", CHAT, key, len(body)) + body)
            assert b"HTTP/1.1 200" in sock.recv(100)
        yield socks
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("whose", ["nobody's", "a student's"])
def test_who_sends_large_bodies_slowly_shuts_nobody_out(
    folder: Path, mock: Mock, whose: str
) -> None:
    """E7: with a key, and on the admin side without one; others' small bodies and a large one find room."""
    mib = 1 << 20
    server = start_server(
        folder, mock.url, TUCKSHOP_EDGE_BUFFERED_BODIES_MAX_BYTES=str(4 * mib)
    )  # fmt: skip
    try:
        hog, other = key_of_new_member(server, "hog"), key_of_new_member(server, "other")
        path = CHAT if whose == "a student's" else "/api/v1/groups"
        socks = [connect(server) for _ in range(8)]
        try:
            for sock in socks:
                sock.sendall(head("POST", path, hog, mib - 4_096))
                sock.sendall(b" " * (mib - 4_097))
            assert _soon(lambda: _buffered(server) >= mib)

            for text in ("Hello", "Hello " * 50_000):
                body = chat(text, model="gpt-4.1-nano", max_tokens=16)
                assert talk(server, head("POST", CHAT, other, len(body)) + body).status == 200
            assert server.admin("PATCH", "/groups/other", {"title": "x"})[0] == 200
        finally:
            for sock in socks:
                sock.close()
        assert _soon(lambda: _buffered(server) == 0)
    finally:
        assert server.stop() == 0


def _buffered(server: Server) -> int:
    page = str(call("GET", f"{server.url}/metrics")[1])
    found = re.search(r"^tuckshop_buffered_body_bytes (\S+)", page, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def test_calls_in_flight_have_their_number_and_running_ones_go_on(folder: Path, mock: Mock) -> None:
    """E7: new calls are shed, streams and the admin API are not."""
    server = start_server(folder, mock.url, TUCKSHOP_EDGE_IN_FLIGHT_MAX="2")
    try:
        key = key_of_new_member(server, "flight", on_disconnect="cancel")
        with held_calls(server, key, 2) as running:
            reply = talk(server, head("GET", "/v1/models", key, 0))
            assert (reply.status, reply.code) == (503, "server_busy")
            assert int(reply.headers["retry-after"]) >= 1
            assert call("GET", f"{server.url}/readyz")[0] == 200
            assert server.made("GET", "/groups")["data"]
            assert all(b"data: " in sock.recv(65_536) for sock in running)
        assert _soon(lambda: talk(server, head("GET", "/v1/models", key, 0)).status == 200)
    finally:
        assert server.stop() == 0


def test_calls_that_wait_have_their_number(folder: Path, mock: Mock) -> None:
    """E7."""
    server = start_server(folder, mock.url, TUCKSHOP_EDGE_WAITING_MAX="1")
    try:
        key = key_of_new_member(
            server,
            "waiting",
            shared=["1 concurrent requests"],
            patience_s=20,
            on_disconnect="cancel",
        )
        body = chat("[[echo:hi]]")
        raw = head("POST", CHAT, key, len(body)) + body
        replies: list[str | None] = []
        with held_calls(server, key, 1):
            callers = [
                threading.Thread(target=lambda: replies.append(talk(server, raw, 60).code))
                for _ in range(4)
            ]
            for caller in callers:
                caller.start()
            assert _soon(lambda: replies.count("server_busy") == 3)
        for caller in callers:
            caller.join()
        assert sorted(map(str, replies)) == ["None", "server_busy", "server_busy", "server_busy"]
    finally:
        assert server.stop() == 0


def test_connections_have_their_number(folder: Path, mock: Mock) -> None:
    """E7: what is too much is closed; who is connected is served, and so is the next when one has gone."""
    server = start_server(folder, mock.url, TUCKSHOP_EDGE_CONNECTIONS_MAX="5")
    try:
        time.sleep(0.3)  # those of the start have gone
        socks = [connect(server) for _ in range(5)]
        time.sleep(0.3)
        with connect(server) as sixth:
            assert until_closed(sixth)[0] == b""
        socks[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP/1.1 200" in socks[0].recv(1_000)
        socks.pop().close()
        assert _soon(
            lambda: (
                b"200"
                in _ask(server, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            )
        )
        for sock in socks:
            sock.close()
    finally:
        assert server.stop() == 0


def test_a_long_reply_is_metered_by_its_end(folder: Path, mock: Mock) -> None:
    """A reply that is too long to be parsed costs what it says at its end all the same."""
    server = start_server(
        folder, mock.url,
        TUCKSHOP_EDGE_REPLY_WHOLE_MAX_BYTES="2000", TUCKSHOP_EDGE_REPLY_TAIL_BYTES="1000",
    )  # fmt: skip
    try:
        key = key_of_new_member(server, "long")
        for tokens, told in ((5, True), (2_000, False)):
            body = chat(f"[[tokens:{tokens}]]")
            reply = talk(server, head("POST", CHAT, key, len(body)) + body)
            assert reply.status == 200
            assert ("x-tuckshop-cost-usd" in reply.headers) is told
            row = server.made("GET", "/requests?limit=1")["data"][0]
            assert (
                row["output_tokens"]
                == tokens
                == json.loads(reply.body)["usage"]["completion_tokens"]
            )
            assert "unconfirmed" not in row["flags"]
    finally:
        assert server.stop() == 0


def _ask(server: Server, raw: bytes) -> bytes:
    with connect(server) as sock:
        sock.sendall(raw)
        return until_closed(sock)[0]


def _soon(holds: object, within_s: float = 20) -> bool:
    assert callable(holds)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False
