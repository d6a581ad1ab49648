"""How running calls end: at SIGTERM, at the end of its patience, and when clients leave at every moment (M5, M15)."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_race import assert_verified, until_open
from tests.support.http import post, request_bytes
from tests.support.oracle import billed_nano_usd
from tests.support.positions import Row, rows_of
from tests.support.processes import Mock, Server, call, start_mock, start_server

CHAT = "/v1/chat/completions"


def body(text: str, *, stream: bool = True) -> dict[str, Any]:
    return {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 100,
        "stream": stream,
    }


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    mock = start_mock(tmp_path / "upstream")
    yield mock
    mock.stop()


def check_rows(server: Server, mock: Mock) -> list[Row]:
    """Recorded ≥ billed, exact where nothing is flagged, nothing left reserved, counters explained by rows."""
    rows = rows_of(server.data)
    assert not [row for row in rows.values() if row.state == "reserved"]
    for request_id, owed in billed_nano_usd(mock.bill).items():
        row = rows[request_id]
        assert row.state == "settled"
        assert row.cost is not None
        assert row.cost >= owed
        assert row.cost == owed or "unconfirmed" in row.flags
    assert_verified(server)
    return list(rows.values())


def settle_down(mock: Mock) -> None:
    """Wait until the upstream has written its bill."""
    deadline = time.monotonic() + 10
    while mock.state()["open"] and time.monotonic() < deadline:
        time.sleep(0.02)


def stop_while(server: Server, mock: Mock, calls: list[tuple[str, Any]], *signals: int) -> Any:
    """Send *signals* while *calls* (key, body) run; the replies, the exit status and how long it took to end."""

    async def run() -> Any:
        tasks = [asyncio.create_task(post(server.url, CHAT, key, each)) for key, each in calls]
        await until_open(mock, len(calls))
        began = time.monotonic()
        for number in signals:
            server.process.send_signal(number)
            await asyncio.sleep(0.2)
        replies = [await task for task in tasks]
        status = await asyncio.to_thread(server.process.wait, 20)
        return replies, status, time.monotonic() - began

    return asyncio.run(run())


def test_running_streams_end_whole_after_sigterm(tmp_path: Path, mock: Mock) -> None:
    server = start_server(tmp_path, mock.url)
    key = key_of_new_member(server, "ending", each=["$1 total"])
    calls = [(key, body("[[tokens:60]] [[speed:60]]", stream=n % 2 == 0)) for n in range(6)]

    replies, status, _ = stop_while(server, mock, calls, signal.SIGTERM)

    assert status == 0, server.log.read_text()
    assert all(reply.status == 200 and reply.complete for reply in replies)
    assert all(reply.body.endswith(b"data: [DONE]\n\n") for reply in replies[::2])
    assert not (server.data / "run.json").exists()
    rows = check_rows(server, mock)
    assert [(row.state, row.flags) for row in rows] == [("settled", "")] * 6


def test_new_calls_are_not_taken_while_it_ends(tmp_path: Path, mock: Mock) -> None:
    server = start_server(tmp_path, mock.url)
    key = key_of_new_member(server, "late", each=["$1 total"])

    async def run() -> None:
        running = asyncio.create_task(
            post(server.url, CHAT, key, body("[[tokens:60]] [[speed:40]]"))
        )
        await until_open(mock, 1)
        server.process.terminate()
        await asyncio.sleep(1.2)
        late = await post(server.url, CHAT, key, body("late"))
        assert late.status in (0, 503)
        assert (await running).complete

    asyncio.run(run())
    assert server.process.wait(20) == 0
    assert len(check_rows(server, mock)) == 1


def test_what_runs_at_the_end_of_the_drain_time_is_charged_its_bound(
    tmp_path: Path, mock: Mock
) -> None:
    server = start_server(tmp_path, mock.url, TUCKSHOP_DRAIN_SECONDS="1")
    key = key_of_new_member(server, "cut", each=["$1 total"])
    calls = [(key, body("[[tokens:45]] [[speed:15]]", stream=n != 0)) for n in range(3)]

    replies, status, took = stop_while(server, mock, calls, signal.SIGTERM)

    assert status == 0, server.log.read_text()
    assert 1 <= took < 6
    assert replies[0].status == 503
    assert replies[0].code == "server_busy"
    for reply in replies[1:]:
        assert reply.complete
        assert json.loads(reply.body.split(b"data: ")[-1])["error"]["code"] == "server_busy"
    settle_down(mock)
    for row in check_rows(server, mock):
        assert (row.state, row.flags, row.cost) == ("settled", "unconfirmed", row.held_cost)
    assert "Traceback" not in server.log.read_text()


def test_a_second_signal_ends_at_once(tmp_path: Path, mock: Mock) -> None:
    server = start_server(tmp_path, mock.url)
    slow = body("[[tokens:90]] [[speed:15]]")
    key = key_of_new_member(server, "hurry", each=["$1 total", "3 concurrent requests"])

    async def run() -> Any:
        running = [asyncio.create_task(post(server.url, CHAT, key, slow)) for _ in range(3)]
        await until_open(mock, 3)
        waiting = asyncio.create_task(post(server.url, CHAT, key, slow))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        server.process.terminate()
        await asyncio.sleep(1.2)
        assert server.process.poll() is None
        server.process.terminate()
        status = await asyncio.to_thread(server.process.wait, 20)
        return status, time.monotonic() - began, [await each for each in running], await waiting

    status, took, running, waiting = asyncio.run(run())

    assert status == 0, server.log.read_text()
    assert took < 5
    assert [reply.status for reply in running] == [200] * 3
    assert waiting.status == 503
    settle_down(mock)
    rows = [row for row in check_rows(server, mock) if row.state != "refused"]
    assert [(row.state, row.flags) for row in rows] == [("settled", "unconfirmed")] * 3


def test_one_who_leaves_while_waiting_leaves_no_trace(tmp_path: Path, mock: Mock) -> None:
    """M15. The place in the queue is free, too: the next call waits for the running one alone."""
    server = start_server(tmp_path, mock.url)
    key = key_of_new_member(server, "queue", each=["$1 total", "1 concurrent requests"])

    async def run() -> None:
        running = asyncio.create_task(
            post(server.url, CHAT, key, body("[[tokens:60]] [[speed:40]]"))
        )
        await until_open(mock, 1)
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[-1]))
            writer.write(request_bytes(server.url, CHAT, key, body("waits")))
            await asyncio.sleep(0.05)
            writer.transport.abort()
        last = await post(server.url, CHAT, key, body("[[tokens:5]] last"))
        assert (await running).status == last.status == 200

    asyncio.run(run())
    try:
        limits = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"]
        rows = rows_of(server.data)  # after a call that waits for all that was settled
        assert [row.state for row in rows.values() if row.state != "voided"] == ["settled"] * 2
        assert [limit["reserved"] for limit in limits] == [0, 0]
        assert len(mock.requests()) == 2
    finally:
        assert server.stop() == 0
    check_rows(server, mock)
