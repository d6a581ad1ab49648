"""P12: of where a call comes from, nothing is written that tells an address."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import key_of_new_member
from tests.support.http import Reply, request_bytes, send
from tests.support.processes import Mock, Server, start_server

CHAT = "/v1/chat/completions"
CANARY, NEIGHBOUR, ELSEWHERE = "203.0.113.77", "203.0.113.9", "198.51.100.7"


def ask(server: Server, key: str, address: str, model: str = "gpt-4o-mini") -> Reply:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello. [[tokens:5]]"}],
        "max_tokens": 20,
    }
    raw = request_bytes(server.url, CHAT, key, body)
    field = f"\r\nx-forwarded-for: {address}\r\nconnection:".encode()
    return asyncio.run(send(server.url, raw.replace(b"\r\nconnection:", field, 1)))


def test_rows_tell_whether_two_calls_came_from_one_network_and_no_file_tells_from_where(
    mock: Mock, tmp_path: Path
) -> None:
    server = start_server(
        tmp_path, mock.url, TUCKSHOP_TRUSTED_PROXIES="127.0.0.1", TUCKSHOP_LOG_LEVEL="debug"
    )
    try:
        key = key_of_new_member(server, "swa")
        for address in (CANARY, NEIGHBOUR, ELSEWHERE):
            assert ask(server, key, address).status == 200
        assert ask(server, key, CANARY, model="gpt-nobody-knows").status in (403, 404)
        rows = server.made("GET", "/requests")["data"]
        refused, elsewhere, neighbour, canary = (row["network"] for row in rows)
        assert canary == neighbour == refused
        assert elsewhere not in (None, canary)
    finally:
        assert server.stop() == 0

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in written)
    for path in written:
        content = path.read_bytes()
        for address in (CANARY, NEIGHBOUR, ELSEWHERE):
            assert address.encode() not in content, path
            assert address.rpartition(".")[0].encode() + b".0/24" not in content, path
            assert bytes(map(int, address.split("."))) not in content, path
