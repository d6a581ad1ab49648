"""The side door for tests, under /_mock: what is going on, and what should happen next."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tuckshop.mock_upstream.connection import Exchange, Request
from tuckshop.mock_upstream.faults import FAULTS
from tuckshop.mock_upstream.state import State


def serve_control(state: State, request: Request, exchange: Exchange) -> None:
    """
    Answer a request to the side door.

    GET state · POST next?id=NAME[&events=N] · POST release[?id=NAME] · POST fault?name=NAME[&times=N] · redirected
    """
    parts = urlsplit(request.target.decode("latin-1"))
    query = dict(parse_qsl(parts.query))
    answer: dict[str, Any]
    call = f"{request.method} {parts.path.removeprefix('/_mock/')}"
    if parts.path == "/_mock/redirected":
        state.redirected += 1
        status, answer = 200, {"redirected": state.redirected}
    elif call == "GET state":
        status, answer = 200, state.describe()
    elif call == "POST next":
        status, answer = _release(state, query, int(query.get("events", "1")))
    elif call == "POST release":
        status, answer = _release(state, query, None)
    elif call == "POST fault":
        status, answer = _queue(state, query)
    else:
        status, answer = 404, {"problem": f"there is no {call} here"}
    exchange.reply(status, b"content-type: application/json\r\n", json.dumps(answer).encode())


def _release(state: State, query: dict[str, str], events: int | None) -> tuple[int, dict[str, Any]]:
    name = query.get("id")
    found = state.called(name)
    for delivery in found:
        delivery.release(events)
    status = 404 if name is not None and not found else 200
    return status, {"released": len(found)}


def _queue(state: State, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
    name = query.get("name", "")
    if name not in FAULTS:
        return 400, {"problem": f"there is no fault {name!r}", "faults": list(FAULTS)}
    state.queued_faults.extend([name] * int(query.get("times", "1")))
    return 200, {"queued": list(state.queued_faults)}
