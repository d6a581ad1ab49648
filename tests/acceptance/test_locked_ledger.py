"""Another process holds the database for half a minute: a bounded refusal, and not one late event (D1, D7)."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_shutdown import body, check_rows, settle_down
from tests.support.http import Reply, parsed, request_bytes
from tests.support.positions import ledger_file
from tests.support.processes import Mock, Server, call, start_mock, start_server

pytestmark = pytest.mark.long

HELD_S = 30
REFUSED_WITHIN_S = 4
CHAT = "/v1/chat/completions"


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    mock = start_mock(tmp_path / "upstream")
    yield mock
    mock.stop()


@contextlib.contextmanager
def held(data: Path) -> Iterator[None]:
    """Nobody else writes meanwhile."""
    with contextlib.closing(sqlite3.connect(ledger_file(data), isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def ask(server: Server, key: str, text: str) -> tuple[Reply, list[float]]:
    """The reply, and when each piece of it came."""

    url = urlsplit(server.url)
    came: list[float] = []
    answer = b""
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=60) as link:
        link.sendall(request_bytes(server.url, CHAT, key, body(text)))
        while piece := link.recv(65536):
            came.append(time.monotonic())
            answer += piece
    return parsed(answer), came


def test_a_database_held_for_half_a_minute_refuses_new_calls_and_delays_no_event(
    tmp_path: Path, mock: Mock
) -> None:
    """Section 15: bounded 503, loop lag < 100 ms. What runs goes on, and is charged once the lock is gone."""
    server = start_server(tmp_path, mock.url)
    key = key_of_new_member(server, "locked", each=["$1 total"])
    streams: list[tuple[Reply, list[float]]] = []
    # It says something four times a second for 25 of the 30 seconds.
    running = threading.Thread(
        target=lambda: streams.append(ask(server, key, "[[tokens:100]] [[speed:4]]"))
    )
    lag: list[float] = []
    try:
        running.start()
        while not mock.state()["open"]:
            time.sleep(0.02)
        with held(server.data):
            until_s = time.monotonic() + HELD_S
            refused: list[tuple[Reply, float]] = []
            while time.monotonic() < until_s:
                began_s = time.monotonic()
                reply, _ = ask(server, key, "refused")
                refused.append((reply, time.monotonic() - began_s))
                for _ in range(20):
                    began_s = time.monotonic()
                    assert call("GET", f"{server.url}/healthz")[0] == 200
                    lag.append(time.monotonic() - began_s)
                    time.sleep(0.02)
        running.join()

        for reply, took_s in refused:
            assert (reply.status, reply.code) == (503, "server_busy")
            assert int(reply.headers["retry-after"]) >= 1
            assert took_s < REFUSED_WITHIN_S
        assert len(refused) > 10
        lag.sort()
        print(f"{len(lag)} looks, p50 {lag[len(lag) // 2]:.4f} s, worst {lag[-1]:.4f} s")
        assert lag[len(lag) * 99 // 100] < 0.1
        ((stream, came),) = streams
        assert (stream.status, stream.complete) == (200, True)
        assert stream.body.endswith(b"data: [DONE]\n\n")
        gaps = sorted(later - earlier for earlier, later in pairwise(came))
        assert gaps[len(gaps) * 98 // 100] < 0.25 + 0.1

        deadline = time.monotonic() + 10
        while (reply := ask(server, key, "[[tokens:3]]")[0]).status != 200:
            assert time.monotonic() < deadline, reply
            time.sleep(0.2)
        settle_down(mock)
    finally:
        assert server.stop() == 0
    rows = [row for row in check_rows(server, mock) if row.state != "refused"]
    assert [(row.state, row.flags) for row in rows if row.cost] == [("settled", "")] * 2
    assert len(mock.requests()) == 2, "nothing refused was sent (M3, M15)"
