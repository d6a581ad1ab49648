"""A strike as the member feels it: what runs is cut, and what comes is refused."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from tests.acceptance.conftest import NewKey
from tests.support.http import post
from tests.support.processes import Server

CHAT = "/v1/chat/completions"


def asking(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 200, **fields}


def test_a_strike_cuts_the_members_running_stream_within_a_second(
    server: Server, new_key: NewKey
) -> None:
    """K3, section 12: the flag is written behind the call that was refused, and the pause with it."""
    key = new_key(
        each=["$1/month"], rules={"deny_words": ["forbidden"]}, strikes={"count": 1, "days": 1}
    )

    async def run() -> tuple[bytes, int, float]:
        long = asking("Count. [[tokens:150]] [[speed:50]]", stream=True)
        running = asyncio.create_task(post(server.url, CHAT, key, long))
        await asyncio.sleep(0.7)
        began = time.monotonic()
        refused = await post(server.url, CHAT, key, asking("Something forbidden."))
        reply = await running
        return reply.body, refused.status, time.monotonic() - began

    body, status, took = asyncio.run(run())

    assert status == 400
    last = body.strip().split(b"\n\n")[-1].removeprefix(b"data: ")
    assert json.loads(last)["error"]["code"] == "member_paused"
    assert took < 1.5
    after = asyncio.run(post(server.url, CHAT, key, asking("Hello.")))
    assert (after.status, after.code) == (403, "member_paused")
