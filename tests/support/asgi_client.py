"""Calls an ASGI application in this process, as a test would with a real client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, numbers exact."""
        return json.loads(self.body, parse_float=Decimal)


class AsgiClient:
    """Sends whole requests and gathers whole answers."""

    def __init__(self, app: Any, *, token: str | None = None) -> None:
        self._app = app
        self._token = token

    async def get(self, path: str, **query: Any) -> Answer:
        """GET with a query."""
        return await self.send("GET", path, query=query)

    async def post(self, path: str, body: Any = None, **query: Any) -> Answer:
        """POST a JSON body, or none."""
        return await self.send("POST", path, body=body, query=query)

    async def patch(self, path: str, body: Any) -> Answer:
        """PATCH with a JSON body."""
        return await self.send("PATCH", path, body=body)

    async def delete(self, path: str) -> Answer:
        """DELETE."""
        return await self.send("DELETE", path)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | str | None = None,
        body: Any = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> Answer:
        """Any request; *raw* is a body as it stands, *token* another credential ("" for none)."""
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        credential = self._token if token is None else token
        fields = {"host": "test", "content-type": "application/json"} if sent else {"host": "test"}
        if credential:
            fields["authorization"] = f"Bearer {credential}"
        fields |= headers or {}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},  # as the edge says
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": (query if isinstance(query, str) else urlencode(query or {})).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        to_send = [{"type": "http.request", "body": sent, "more_body": False}]
        got: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return to_send.pop() if to_send else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            got.append(message)

        await self._app(scope, receive, send)
        start, *rest = got
        return Answer(
            status=start["status"],
            headers={name.decode(): value.decode() for name, value in start["headers"]},
            body=b"".join(message.get("body", b"") for message in rest),
        )
