"""Streams: each event is passed on before the next exists; a slow reader holds little and disturbs no one (E6)."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.conftest import NewKey, client_of, key_of_new_member
from tests.support.http import parsed, post, request_bytes
from tests.support.processes import Mock, Server, call

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"


def stream_of(text: str, tokens: int = 4000) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        "stream": True,
    }


def test_an_event_is_passed_on_before_the_next_exists(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    client = client_of(server, new_key(each=["$1/month"]))
    control = mock.url.removesuffix("/v1") + "/_mock/next?id=steps"

    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "[[lockstep:steps]] [[tokens:6]]"}],
        stream=True,
    )
    seen = 0
    for chunk in stream:
        seen += 1
        # Behind the last one come the usage chunk, which only tuckshop asked for, and the end.
        is_last = chunk.choices[0].finish_reason is not None
        call("POST", control + ("&events=3" if is_last else ""))

    assert seen >= 6


def test_bytes_and_order_are_kept(server: Server, mock: Mock, new_key: NewKey) -> None:
    body = stream_of("[[tokens:200]] The same text each time.") | {
        "stream_options": {"include_usage": True, "include_obfuscation": False}
    }
    key = new_key(each=["$1/month"])

    through = asyncio.run(post(server.url, CHAT, key, body))
    direct = asyncio.run(
        post(mock.url, CHAT, "sk-real-0123456789abcdefCANARY", body | {"service_tier": "default"})
    )

    assert through.complete
    assert events_of(through.body) == events_of(direct.body)
    assert through.headers["cache-control"] == "no-cache"
    assert through.headers["x-accel-buffering"] == "no"


def events_of(body: bytes) -> list[Any]:
    """Events without what differs from call to call by itself."""
    events: list[Any] = []
    for raw in body.split(b"\n\n"):
        data = raw.removeprefix(b"data: ")
        if data.startswith(b"{"):
            event = json.loads(data)
            events.append({n: v for n, v in event.items() if n not in ("id", "created")})
        else:
            events.append(data)
    return events


def rss_kb(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_slow_readers_hold_bounded_memory_and_disturb_no_one(server: Server) -> None:
    """E6: ten clients that read nothing of a long answer, while another one is served as ever."""
    key = key_of_new_member(server, "slow-readers", each=["$100/month"])
    long = stream_of("[[tokens:15000]]", tokens=16_000)

    async def run() -> tuple[int, int, float]:
        before = rss_kb(server)
        parts = urlsplit(server.url)
        slow = []
        for _ in range(10):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
            writer.write(request_bytes(server.url, CHAT, key, long))
            slow.append((reader, writer))
        await asyncio.sleep(1)
        began = time.monotonic()
        quick = await post(server.url, CHAT, key, stream_of("[[tokens:50]]"))
        took = time.monotonic() - began
        assert quick.status == 200
        assert quick.complete
        grown = rss_kb(server) - before
        whole = [await reader.read(-1) for reader, _ in slow]
        for _, writer in slow:
            writer.close()
        assert all(parsed(answer).complete for answer in whole), "a slow reader lost its stream"
        return grown, min(len(answer) for answer in whole), took

    grown, size, took = asyncio.run(run())

    assert size > 1_000_000, "the answers are too short to show anything"
    assert grown < 10 * 1_000, f"{grown} kB for ten slow readers of {size} bytes each"
    assert took < 10


def test_a_paused_key_cuts_its_running_stream_within_a_second(
    server: Server, new_key: NewKey
) -> None:
    """K3: an error event, then the end; the upstream is read on and charged."""
    key = new_key(each=["$1/month"])
    key_id = call("GET", f"{server.url}/api/v1/me", token=key)[1]["key"]["id"]

    async def run() -> tuple[bytes, float]:
        running = asyncio.create_task(
            post(server.url, CHAT, key, stream_of("[[tokens:150]] [[speed:50]]", tokens=200))
        )
        await asyncio.sleep(0.7)
        paused_at = time.monotonic()
        await asyncio.to_thread(server.made, "POST", f"/keys/{key_id}/pause")
        reply = await running
        return reply.body, time.monotonic() - paused_at

    body, took = asyncio.run(run())

    last = body.strip().split(b"\n\n")[-1].removeprefix(b"data: ")
    assert json.loads(last)["error"]["code"] == "key_paused"
    assert took < 1.5
    row = server.made("GET", f"/requests?key={key_id}")["data"][0]
    deadline = time.monotonic() + 15
    while row["status"] == "reserved" and time.monotonic() < deadline:
        time.sleep(0.1)
        row = server.made("GET", f"/requests/{row['id']}")
    assert row["status"] == "settled"
    assert row["output_tokens"] == 150
    refused = asyncio.run(post(server.url, CHAT, key, stream_of("x")))
    assert (refused.status, refused.code) == (403, "key_paused")
