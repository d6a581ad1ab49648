"""Five thousand clients that leave, each at some moment of its own, and a server as if they had never been."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_race import nano
from tests.acceptance.test_shutdown import CHAT, body, check_rows
from tests.support.http import parsed, post, request_bytes
from tests.support.processes import Mock, Server, call, start_mock, start_server

CANCELS = 5_000
AT_ONCE = 50
# What is 0 while nobody calls; of `tuckshop_in_flight` and `tuckshop_connections` the asking itself is one.
IDLE = (
    "tuckshop_relaying", "tuckshop_open_reservations", "tuckshop_waiting", "tuckshop_writer_queue",
    "tuckshop_buffered_body_bytes", "tuckshop_upstream_dialling",
)  # fmt: skip


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    mock = start_mock(tmp_path / "upstream")
    yield mock
    mock.stop()


async def leave_at_random(server: Server, key: str, rng: random.Random) -> str:
    """One call whose client goes at some moment; how far it came."""
    text = rng.choice(
        (
            "[[tokens:3]]",
            "[[tokens:40]] [[speed:400]]",
            "[[tokens:20]] [[first-token-ms:40]]",
            "[[fault:429]]",
            "[[fault:reset-mid-stream]]",
        )
    )
    raw = request_bytes(server.url, CHAT, key, body(text, stream=rng.random() < 0.6))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[-1]))
    try:
        if rng.random() < 0.15:
            writer.write(raw[: rng.randrange(1, len(raw))])
            await asyncio.sleep(rng.uniform(0, 0.02))
            return "in the request"
        writer.write(raw)
        try:
            async with asyncio.timeout(rng.choice((0, 0.005, 0.05, 0.2, 0.5, 5, 5))):
                got = await (reader.read(-1) if rng.random() < 0.7 else reader.read(200))
        except TimeoutError:
            return "before the reply"
        return "after the reply" if parsed(got).complete else "in the reply"
    except OSError:
        return "broken"
    finally:
        if rng.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


def gauges(server: Server) -> dict[str, float]:
    """Everything at /metrics that has no labels."""
    page = str(call("GET", f"{server.url}/metrics")[1])
    lines = (line.split() for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines if "{" not in name}


def at_rest(server: Server, mock: Mock, within_s: float = 20) -> dict[str, float]:
    """The gauges once nothing is going on any more, or what they are when it does not end."""
    deadline = time.monotonic() + within_s
    while True:
        found = gauges(server)
        is_idle = not any(found[name] for name in IDLE) and found["tuckshop_in_flight"] == 1
        if (is_idle and not mock.state()["open"]) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def own_descriptors(found: dict[str, float]) -> float:
    """Open files and sockets, but for the connections that are kept to be used again."""
    return found["process_open_fds"] - found["tuckshop_upstream_connections"]


def test_five_thousand_random_cancels_leave_nothing_behind(tmp_path: Path, mock: Mock) -> None:
    """M5, M6, M15, section 8: pool, tasks, holds, buffers and descriptors are as before; the next calls work."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    server = start_server(tmp_path, mock.url)
    limits: dict[str, Any] = {"each": ["$100 total", "40 concurrent requests"], "patience_s": 1}
    keys = [
        key_of_new_member(server, way, **limits, on_disconnect=way) for way in ("drain", "cancel")
    ]

    async def run() -> Counter[str]:
        ways: Counter[str] = Counter()

        async def worker(own: random.Random, key: str) -> None:
            for _ in range(CANCELS // AT_ONCE):
                ways[await leave_at_random(server, key, own)] += 1

        seeds = [rng.randrange(2**32) for _ in range(AT_ONCE)]
        await asyncio.gather(
            *(worker(random.Random(each), keys[n % 2]) for n, each in enumerate(seeds))
        )
        return ways

    try:
        asyncio.run(post(server.url, CHAT, keys[0], body("[[tokens:3]]")))
        call("GET", f"{server.url}/api/v1/me", token=keys[0])
        before = at_rest(server, mock)
        ways = asyncio.run(run())
        print(ways)
        after = at_rest(server, mock)

        assert ways.total() == CANCELS
        assert {name: after[name] for name in IDLE} == dict.fromkeys(IDLE, 0)
        for name in ("tuckshop_tasks", "tuckshop_in_flight", "tuckshop_connections"):
            assert after[name] == before[name], name
        assert after["tuckshop_upstream_connections"] == after["tuckshop_upstream_idle_connections"]
        assert own_descriptors(after) <= own_descriptors(before)
        for key in keys:
            states = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"]
            assert [state["reserved"] for state in states] == [0, 0]

        replies = [
            asyncio.run(post(server.url, CHAT, key, body(f"[[echo:here{n}]]", stream=False)))
            for n, key in enumerate(keys * 20)
        ]
        contents = [reply.json["choices"][0]["message"]["content"] for reply in replies]
        assert contents == [f"here{n}" for n in range(40)], "answers never cross"
        at_rest(server, mock)
        rows = check_rows(server, mock)
        used = 0
        for key in keys:
            money, _ = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"]
            used += nano(money["used"])
        assert used == sum(row.cost or 0 for row in rows)
        assert "Traceback" not in server.log.read_text()
    finally:
        assert server.stop() == 0
    assert mock.state()["connections"] == 1, "who asks for it is the only one"
