"""Clients that leave at some moment while their answers are held back, and a stop meanwhile: the money stays right."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_cancels import IDLE, at_rest
from tests.acceptance.test_shutdown import CHAT, body, check_rows
from tests.support.http import post, request_bytes
from tests.support.processes import Mock, Server, call, start_mock, start_server

CANCELS = 300
AT_ONCE = 15
SLOW = "1"  # seconds that a verdict may take
POLICY: dict[str, Any] = {"moderation": {"mode": "off", "outputs": "block"}, "each": ["$100 total"]}
SAID = (
    "[[echo:all is well]]",
    "[[echo:all is {{flag:hate}} well]]",
    "[[echo:all is {{fault:500}} well]]",
    "[[echo:all is {{fault:hang}} well]]",
    "[[tokens:90]] [[speed:400]]",
    "[[tokens:40]] [[fault:reset-mid-stream]]",
    "[[tokens:20]] [[first-token-ms:40]]",
)


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    mock = start_mock(tmp_path / "upstream")
    yield mock
    mock.stop()


async def leave_at_random(server: Server, key: str, rng: random.Random) -> None:
    """One call whose client goes at some moment."""
    raw = request_bytes(server.url, CHAT, key, body(rng.choice(SAID), stream=rng.random() < 0.6))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[-1]))
    writer.write(raw)
    try:
        async with asyncio.timeout(rng.choice((0.01, 0.05, 0.2, 0.5, 1.5))):
            await reader.read(-1 if rng.random() < 0.7 else 200)
    except TimeoutError:
        pass  # it goes now
    finally:
        writer.transport.abort() if rng.random() < 0.5 else writer.close()


def test_whenever_clients_leave_while_their_answers_are_held_nothing_is_left_and_all_is_paid(
    tmp_path: Path, mock: Mock
) -> None:
    """M5, M6, section 12: recorded as billed, one resolution each, no hold, no task left."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    server = start_server(tmp_path, mock.url, TUCKSHOP_EDGE_MODERATION_TIMEOUT_S=SLOW)
    keys = [
        key_of_new_member(server, way, **POLICY, on_disconnect=way) for way in ("drain", "cancel")
    ]

    async def worker(own: random.Random, key: str) -> None:
        for _ in range(CANCELS // AT_ONCE):
            await leave_at_random(server, key, own)

    async def run() -> None:
        seeds = [rng.randrange(2**32) for _ in range(AT_ONCE)]
        await asyncio.gather(
            *(worker(random.Random(each), keys[n % 2]) for n, each in enumerate(seeds))
        )

    try:
        asyncio.run(run())
        after = at_rest(server, mock)
        assert {name: after[name] for name in IDLE} == dict.fromkeys(IDLE, 0)
        for key in keys:
            (limit,) = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"]
            assert limit["reserved"] == 0
        assert len(check_rows(server, mock)) > CANCELS // 3  # some go before they are read
        assert "Traceback" not in server.log.read_text()
    finally:
        assert server.stop() == 0


def test_a_stop_while_answers_are_held_ends_in_order(tmp_path: Path, mock: Mock) -> None:
    """Section 14: what is held is told to its client one way or the other, and everything is paid."""
    server = start_server(tmp_path, mock.url, TUCKSHOP_EDGE_MODERATION_TIMEOUT_S=SLOW)
    key = key_of_new_member(server, "held", **POLICY)

    async def run() -> list[Any]:
        text = "[[echo:all is {{fault:hang}} well]]"
        calls = [
            asyncio.create_task(post(server.url, CHAT, key, body(text, stream=n % 2 == 0)))
            for n in range(6)
        ]
        await asyncio.sleep(0.5)
        server.process.terminate()
        return [await one for one in calls]

    began = time.monotonic()
    replies = asyncio.run(run())
    assert server.process.wait(20) == 0
    assert time.monotonic() - began < 15

    assert all(b"server_busy" in reply.body for reply in replies)
    assert all(b"well" not in reply.body for reply in replies)
    rows = check_rows(server, mock)
    assert [row.state for row in rows] == ["settled"] * 6
    assert not any("unconfirmed" in row.flags for row in rows)
