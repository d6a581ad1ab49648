"""A server that answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANGS_UP = 0  # in place of a status: the connection ends without an answer
TOKEN = "admin-token-0123456789"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    body: Any
    token: str | None
    name: str | None = None  # its Idempotency-Key
    version: str | None = None  # its If-Match


@dataclass
class FakeServer:
    """Answers in the order in which they were laid down; the last one again and again."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[tuple[int, object, dict[str, str]]] = field(default_factory=list)

    def will_answer(self, answer: object, status: int = 200, **headers: str) -> FakeServer:
        """Lay down the next answer."""
        self.answers.append((status, answer, headers))
        return self

    def environment(self) -> dict[str, str | None]:
        """The environment of a command that is to call it."""
        return {"TUCKSHOP_URL": self.url, "TUCKSHOP_ADMIN_TOKEN": TOKEN}


def _read(raw: bytes, media_type: str) -> Any:
    if not raw:
        return None
    return json.loads(raw) if "json" in media_type else raw.decode()


@contextmanager
def running() -> Iterator[FakeServer]:
    """One on a port of its own."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            fake.asked.append(
                Asked(
                    self.command,
                    self.path,
                    _read(raw, self.headers.get("content-type", "")),
                    (self.headers.get("authorization") or "").removeprefix("Bearer ") or None,
                    self.headers.get("idempotency-key"),
                    self.headers.get("if-match"),
                )
            )
            answer = fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0]
            status, value, headers = answer
            if status == HANGS_UP:
                self.close_connection = True
                return
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in ({"content-type": "application/json"} | headers).items():
                self.send_header(name, text)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that the base asks for

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


GROUP: dict[str, Any] = {
    "id": "grp_1",
    "name": "swa",
    "title": "Software architecture",
    "time_zone": "Europe/Berlin",
    "models": ["gpt-4o-mini"],
    "endpoints": None,
    "tools": [],
    "each": ["$0.20/month"],
    "shared": [],
    "carry_over": None,
    "max_output_tokens": 2000,
    "min_output_tokens": 1024,
    "patience_s": 20,
    "on_disconnect": "drain",
    "unknown_parameters": "refuse",
    "provider_storage": "off",
    "objects": "own",
    "show_shared": False,
    "self_rotate": False,
    "moderation": {"mode": "off", "fail": "closed", "thresholds": {}},
    "logging": {"bodies": "off", "days": 30, "purpose": "", "readers": ["owner"]},
    "strikes": None,
    "rules": None,
    "log_days": 400,
    "pseudonyms": False,
    "state": "active",
    "in_force": [],
    "worst_case": {
        "members": 100,
        "bounds": [
            {"window": "month", "amount_usd": 20, "renews_at": "2026-11-30T23:00:00Z"},
        ],
        "sentence": "100 members: at most $20.00 a month; renews 1 Dec 00:00 Europe/Berlin",
    },
}
STANDING: dict[str, Any] = {
    "limit": "$0.20/month",
    "scope": "member",
    "used": 0.013,
    "reserved": 0.002,
    "remaining": 0.185,
    "resets_at": "2026-11-30T23:00:00Z",
}
MEMBER: dict[str, Any] = {
    "id": "mem_1",
    "group": "grp_1",
    "external_id": "4711",
    "name": "Ada",
    "email": None,
    "limits": [],
    "models": None,
    "endpoints": None,
    "max_output_tokens": None,
    "state": "active",
    "pseudonymous": False,
    "in_force": [STANDING],
}
KEY: dict[str, Any] = {
    "id": "key_1",
    "member": "mem_1",
    "name": "laptop",
    "last4": "wxyz",
    "limits": [],
    "models": None,
    "endpoints": None,
    "max_output_tokens": None,
    "tags": [],
    "expires_at": None,
    "last_used_at": None,
    "state": "active",
    "taken_from": None,
    "in_force": [STANDING],
}
ROW: dict[str, Any] = {
    "id": "req_1",
    "at": "2026-11-24T10:00:00.123456Z",
    "member": "mem_1",
    "key": "key_1",
    "group": "grp_1",
    "endpoint": "chat.completions",
    "model": "gpt-4o-mini",
    "status": "settled",
    "http_status": 200,
    "input_tokens": 12,
    "output_tokens": 34,
    "cached_tokens": 0,
    "cost_usd": 0.000022201,
    "flags": ["clamped"],
    "first_byte_ms": 5,
    "duration_ms": 80,
    "queue_ms": 0,
    "upstream": "openai",
    "upstream_request_id": None,
    "tag": None,
    "repeats": 1,
    "error": None,
}


def page(*rows: object, cursor: str | None = None) -> dict[str, object]:
    """A page of a list."""
    return {"data": list(rows), "next_cursor": cursor}
