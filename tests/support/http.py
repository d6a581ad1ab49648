"""A small raw HTTP/1.1 client for races and kills: no pool, no retries, nothing between a test and the wire."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    status: int  # 0: the connection broke before a whole head came
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """`error.code`, where it is a refusal."""
        return None if self.status < 400 else str(self.json["error"]["code"])


def request_bytes(
    url: str, path: str, key: str, body: object | None, method: str = "POST"
) -> bytes:
    host = urlsplit(url).netloc
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


async def post(url: str, path: str, key: str, body: object) -> Reply:
    """One call, on a connection of its own, whatever becomes of it."""
    return await send(url, request_bytes(url, path, key, body))


async def send(url: str, raw: bytes) -> Reply:
    parts = urlsplit(url)
    assert parts.port is not None
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return Reply(0, {}, b"", complete=False)
    try:
        writer.write(raw)
        await writer.drain()
        answer = await reader.read(-1)
    except OSError:
        answer = b""
    finally:
        writer.close()
    return parsed(answer)


def parsed(answer: bytes) -> Reply:
    head, found, rest = answer.partition(b"\r\n\r\n")
    if not found:
        return Reply(0, {}, answer, complete=False)
    lines = head.decode("latin-1").split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
    body, complete = _body(headers, rest)
    return Reply(int(lines[0].split()[1]), headers, body, complete)


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bool]:
    if headers.get("transfer-encoding") != "chunked":
        length = int(headers.get("content-length", len(rest)))
        return rest[:length], len(rest) >= length
    body = b""
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            return body, False
        count = int(size, 16)
        if count == 0:
            return body, True
        body += rest[:count]
        if len(rest) < count + 2:
            return body, False
        rest = rest[count + 2 :]
