"""
The bill and the record: what was generated for whom, written down before it is sent.

Each line goes to the file by one unbuffered append, so that killing either side loses nothing that was billed.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import msgspec

from tuckshop.mock_upstream.connection import Request


class _Lines:
    """A file of JSON lines that only grows."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def append(self, line: dict[str, Any]) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        os.close(self._file)


class Bill(_Lines):
    """What is billed, as it is generated."""

    def open_entry(
        self,
        *,
        client_id: str | None,
        upstream_id: str,
        model: str,
        served_model: str,
        service_tier: str,
        input_tokens: int,
        cached_tokens: int,
        cache_write_tokens: int,
    ) -> BillEntry:
        """A new entry; its input is billed at once."""
        entry = BillEntry(
            self,
            {
                "id": client_id,
                "upstream_id": upstream_id,
                "model": model,
                "served_model": served_model,
                "service_tier": service_tier,
                "input_tokens": input_tokens,
                "cached_tokens": cached_tokens,
                "cache_write_tokens": cache_write_tokens,
            },
        )
        entry.write("begin")
        return entry


class BillEntry:
    """What one request is billed so far."""

    __slots__ = ("_bill", "_facts", "output_tokens")

    def __init__(self, bill: Bill, facts: dict[str, Any]) -> None:
        self._bill = bill
        self._facts = facts
        self.output_tokens = 0

    def piece(self, output_tokens: int) -> None:
        """The piece that makes the output *output_tokens* long is about to be generated."""
        if output_tokens > self.output_tokens:
            self.output_tokens = output_tokens
            self.write("piece")

    def end(self, why: str) -> None:
        """Nothing more will be generated: "done", "left" (its client has) or "cut" (by a script)."""
        self.write("end", why=why)

    def write(self, event: str, **more: str) -> None:
        self._bill.append(
            {"event": event, **self._facts, "output_tokens": self.output_tokens, **more}
        )


class Record(_Lines):
    """Every request that came, headers and body."""

    def write(self, request: Request, *, upstream_id: str, connection: int) -> None:
        """Write down *request*. Header names are kept as they were written."""
        line: dict[str, Any] = {
            "upstream_id": upstream_id,
            "connection": connection,
            "method": request.method,
            "target": request.target.decode("latin-1"),
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers
            ],
        }
        try:
            line["body"] = request.body.decode()
        except UnicodeDecodeError:
            line["body_base64"] = base64.b64encode(request.body).decode()
        self.append(line)
