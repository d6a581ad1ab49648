"""CORS: answered for the named origins alone, on every reply, and preflights carry no key."""

from __future__ import annotations

import pytest

from tests.unit.edge.fakes import RecordingApp, Wire
from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.gateway.browser import EXPOSED, BrowserAccess

ORIGIN = "https://chat.example.org"


def ask(
    app: RecordingApp, *fields: str, method: str = "POST", origins: tuple[str, ...] = (ORIGIN,)
) -> tuple[int, dict[str, str]]:
    wire = Wire(app, in_front=lambda inner: BrowserAccess(inner, origins))
    wire.feed(
        "\r\n".join(
            [f"{method} /v1/chat/completions HTTP/1.1", "Host: a", *fields, "", ""]
        ).encode()
    )
    lines = wire.transport.sent.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:])


def preflight(*fields: str) -> tuple[str, ...]:
    return (f"Origin: {ORIGIN}", "Access-Control-Request-Method: POST", *fields)


def test_a_preflight_carries_no_key_and_reaches_no_one() -> None:
    app = RecordingApp()
    app.refusal = InvalidApiKeyError("there is no key")
    asked = "authorization,content-type,x-stainless-lang"

    status, headers = ask(
        app, *preflight(f"Access-Control-Request-Headers: {asked}"), method="OPTIONS"
    )

    assert status == 204
    assert headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in headers["access-control-allow-methods"]
    assert headers["access-control-allow-headers"] == asked
    assert headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in headers
    assert app.seen == []
    assert app.refused == []


@pytest.mark.parametrize("asked", ["a b", "x" * 5_000, "a;b", "a,,b", ","])
def test_a_preflight_for_odd_fields_allows_none(asked: str) -> None:
    field = f"Access-Control-Request-Headers: {asked}"

    status, headers = ask(RecordingApp(), *preflight(field), method="OPTIONS")

    assert status == 204
    assert "access-control-allow-headers" not in headers


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_page_may_read_every_reply_and_its_headers(is_refused: bool) -> None:
    app = RecordingApp()
    if is_refused:
        app.refusal = InvalidApiKeyError("there is no key")

    status, headers = ask(app, f"Origin: {ORIGIN}", "Content-Length: 0")

    assert status == (401 if is_refused else 200)
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers["access-control-expose-headers"].split(", ") == list(EXPOSED)
    assert {"x-request-id", "x-ratelimit-reset-tokens", "x-tuckshop-budget-remaining-usd"} < set(
        EXPOSED
    )
    assert "access-control-allow-credentials" not in headers


def test_a_refusal_that_closes_the_connection_can_be_read_too() -> None:
    status, headers = ask(RecordingApp(), f"Origin: {ORIGIN}", "Content-Length: 999999")

    assert status == 413
    assert headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.org",
        "null",
        ORIGIN + ".evil.org",
        "http://chat.example.org",
        ORIGIN.upper(),
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_another_origin_gets_no_field_and_no_preflight(origin: str, method: str) -> None:
    app = RecordingApp()
    app.refusal = InvalidApiKeyError("there is no key")

    status, headers = ask(
        app, f"Origin: {origin}", "Access-Control-Request-Method: POST", method=method
    )

    assert status == 401
    assert not any(name.startswith("access-control") for name in headers)
    assert headers["vary"] == "origin"


def test_a_star_is_every_origin() -> None:
    _, headers = ask(RecordingApp(), "Origin: null", "Content-Length: 0", origins=("*",))

    assert headers["access-control-allow-origin"] == "*"
    assert "vary" not in headers


def test_who_is_no_browser_gets_no_such_field() -> None:
    _, headers = ask(RecordingApp(), "Content-Length: 0", origins=("*",))

    assert not any(name.startswith("access-control") for name in headers)


def test_the_next_request_of_a_connection_is_judged_by_its_own_origin() -> None:
    app = RecordingApp()
    wire = Wire(app, in_front=lambda inner: BrowserAccess(inner, (ORIGIN,)))
    request = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n%b\r\n"

    wire.feed(request % f"Origin: {ORIGIN}\r\n".encode() + request % b"")

    assert wire.transport.sent.count(b"access-control-allow-origin") == 1


def test_a_preflight_of_a_path_that_is_not_clean_is_refused() -> None:
    """E3."""
    wire = Wire(in_front=lambda inner: BrowserAccess(inner, (ORIGIN,)))
    lines = ["OPTIONS /v1/%2e%2e/api HTTP/1.1", "Host: a", *preflight(), "", ""]

    wire.feed("\r\n".join(lines).encode())

    assert wire.statuses() == [400]
