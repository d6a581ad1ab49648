"""A load of event streams: so many at once, each event counted; run as a process on the other core."""

from __future__ import annotations

import argparse
import asyncio
import json
from functools import partial
from typing import Final
from urllib.parse import urlsplit

LONGEST_S: Final = 240.0


class Stream(asyncio.Protocol):
    """One call: sends it, counts the events that come back."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.events = 0
        self.head = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if len(self.head) < 12:
            self.head += data[:12]
        self.events += data.count(b"data: ")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _given(stream: Stream) -> Stream:
    return stream


async def run(
    url: str, keys: list[str], headers: list[str], *, streams: int, tokens: int, speed: int
) -> dict[str, int]:
    """Open *streams*, read all to their end."""
    parts = urlsplit(url)
    body = json.dumps({
        "model": "gpt-4o-mini", "stream": True, "max_tokens": tokens + 50,
        "messages": [{"role": "user", "content": f"[[tokens:{tokens}]] [[speed:{speed}]] go"}],
    }).encode()  # fmt: skip
    loop = asyncio.get_running_loop()
    made: list[Stream] = []
    more = "".join(f"{header}\r\n" for header in headers)
    for n in range(streams):
        head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n"
            f"authorization: Bearer {keys[n % len(keys)]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{more}\r\n"
        ).encode()
        stream = Stream(head + body)
        await loop.create_connection(
            partial(_given, stream), parts.hostname or "", parts.port or 80
        )
        made.append(stream)
    async with asyncio.timeout(LONGEST_S):
        await asyncio.gather(*(stream.ended for stream in made))
    failed = sum(not stream.head.startswith(b"HTTP/1.1 200") for stream in made)
    return {"events": sum(stream.events for stream in made), "failed": failed}


def main() -> None:
    """Run as a command; prints JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("keys", help="a file with one key per line")
    for name in ("--streams", "--tokens", "--speed"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    with open(options.keys, encoding="ascii") as file:
        keys = file.read().split()
    found = run(
        options.url,
        keys,
        options.header,
        streams=options.streams,
        tokens=options.tokens,
        speed=options.speed,
    )
    print(json.dumps(asyncio.run(found)))


if __name__ == "__main__":
    main()
