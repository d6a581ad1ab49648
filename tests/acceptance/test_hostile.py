"""Attacks on a running server: clients that mean harm, and an upstream that does (E2 to E7, section 10)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import NewKey, key_of_new_member
from tests.support.http import Reply, parsed
from tests.support.processes import ADMIN_TOKEN, CREDENTIAL, Mock, Server, call, start_server
from tuckshop.domain.keys import new_secret

CHAT = "/v1/chat/completions"
PROMPT_CANARY = "prompt-canary-7d1f"


def port_of(server: Server) -> int:
    return int(server.url.rsplit(":", 1)[1])


def talk(server: Server, raw: bytes, timeout_s: float = 20) -> Reply:
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=timeout_s) as sock:
        sock.sendall(raw)
        said = b""
        while piece := sock.recv(65_536):
            said += piece
    return parsed(said)


def head(method: str, path: str, key: str, length: int, *fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: a", f"authorization: Bearer {key}"]
    lines += ["connection: close", f"content-length: {length}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chat(text: str, **fields: object) -> bytes:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **fields}
    return json.dumps(body).encode()


def resident_mb(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", status)
    assert match is not None
    return int(match[1]) // 1024


# ── clients ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/v1/models", "/api/openapi.json", "/api/nothing"])
def test_a_client_that_sends_ahead_and_reads_nothing_harms_nobody(
    server: Server, path: str
) -> None:
    """E6, E7: without a key, a request of 50 bytes must not buy memory or the others' time."""
    requests = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 500
    before = resident_mb(server)
    with socket.create_connection(("127.0.0.1", port_of(server))) as sock:
        sock.settimeout(0.2)
        until = time.monotonic() + 2
        slowest = 0.0
        while time.monotonic() < until:
            try:
                sock.send(requests)
            except TimeoutError:
                time.sleep(0.05)
            asked = time.monotonic()
            assert call("GET", f"{server.url}/healthz")[0] == 200
            slowest = max(slowest, time.monotonic() - asked)
        assert slowest < 2
        assert resident_mb(server) - before < 60


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (head("POST", "/api/v1/groups", ADMIN_TOKEN, 2, "content-encoding: gzip") + b"{}", 415),
        (head("POST", "/api/v1/groups", ADMIN_TOKEN, 99_999_999), 413),
        (head("GET", "/api/v1/../v1/groups", ADMIN_TOKEN, 0), 400),
        (head("GET", "/api/v1/groups/%2e%2e", ADMIN_TOKEN, 0), 400),
        (head("GET", "/healthz//x", ADMIN_TOKEN, 0), 400),
    ],
)
def test_what_the_edge_refuses_on_the_admin_api_is_told_as_its_other_errors_are(
    server: Server, raw: bytes, status: int
) -> None:
    reply = talk(server, raw)

    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert reply.json["detail"]


def test_unknown_keys_leave_nothing_behind(server: Server) -> None:
    """K15: neither rows nor writes."""
    rows = server.made("GET", "/requests")["data"][:1]
    time.sleep(0.3)
    files = {p: p.stat().st_mtime_ns for p in server.data.iterdir() if "db" in p.name}
    asked = [f"GET /v1/models HTTP/1.1\r\nHost: a\r\nApi-Key: {new_secret()}\r\n\r\n"] * 500
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=20) as sock:
        sock.sendall("".join(asked).encode())
        said = b""
        while said.count(b"HTTP/1.1 401") < len(asked):
            piece = sock.recv(1 << 20)
            assert piece
            said += piece

    assert {p: p.stat().st_mtime_ns for p in files} == files
    assert server.made("GET", "/requests")["data"][:1] == rows


@pytest.mark.parametrize(
    "fields",
    [
        ("x-http-method-override: DELETE",),
        ("x-original-url: /v1/models",),
        ("x-forwarded-host: evil.example", "forwarded: host=evil.example"),
        ("cookie: key={key}; session=harmful",),
        ("origin: https://evil.example",),
        ("upgrade: h2c", "http2-settings: harmful"),
        ("openai-organization: org-evil", "openai-project: proj_evil"),
    ],
)
def test_no_other_field_of_a_client_means_anything(
    server: Server, mock: Mock, new_key: NewKey, fields: tuple[str, ...]
) -> None:
    """E3, E4: and none of them goes up."""
    key = new_key()
    body = chat("hello")
    named = [field.replace("{key}", key) for field in fields]

    reply = talk(server, head("POST", CHAT, key, len(body), *named) + body)

    assert reply.status == 200
    assert "set-cookie" not in reply.headers
    assert not [name for name in reply.headers if name.startswith("access-control")]
    sent = json.dumps(mock.requests()[-1])
    for field in fields:
        assert field.partition(": ")[2].split("=")[-1] not in sent


@pytest.mark.parametrize(
    "tag", ["a b", "x" * 65, "\xe4", "a\tb"], ids=["space", "long", "8 bits", "tab"]
)
def test_a_tag_that_is_none_is_refused(server: Server, new_key: NewKey, tag: str) -> None:
    body = chat("hello")
    raw = head("POST", CHAT, new_key(), len(body), f"x-tuckshop-tag: {tag}")

    assert talk(server, raw + body).code == "invalid_request"


def test_answers_never_cross_when_clients_leave(server: Server, new_key: NewKey) -> None:
    """Section 8: two people over one pool, half of their calls broken off at any moment."""
    keys = [new_key(), new_key()]
    rng = random.Random(5)
    answered = 0

    async def one(number: int) -> None:
        nonlocal answered
        word = f"w{number}k{number % 2}"
        body = chat(f"[[echo:{word}]]", stream=number % 3 == 0)
        raw = head("POST", CHAT, keys[number % 2], len(body), f"x-tuckshop-tag: {word}") + body
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(raw)
        try:
            async with asyncio.timeout(20 if number % 4 else rng.random() * 0.1):
                reply = parsed(await reader.read())
        except TimeoutError:
            return
        finally:
            writer.transport.abort()
        answered += 1
        said = b"".join(re.findall(rb'"content":\s?"([^"]*)"', reply.body)).decode()
        assert (reply.status, said) == (200, word)

    async def all_of_them() -> None:
        for start in range(0, 400, 40):
            await asyncio.gather(*(one(start + i) for i in range(40)))

    asyncio.run(all_of_them())

    assert answered >= 300
    rows = server.made("GET", "/requests?limit=1000")["data"]
    by_key: dict[str, set[str]] = {}
    for row in rows:
        if row["tag"] is not None and re.fullmatch(r"w\d+k\d", row["tag"]):
            by_key.setdefault(row["key"], set()).add(row["tag"][-1])
    assert sorted(map(sorted, by_key.values())) == [["0"], ["1"]]


def test_no_call_fails_while_a_roster_goes_in(server: Server, new_key: NewKey) -> None:
    """D6: every batch of an import changes the directory; calls find their way between them."""
    key = new_key()
    server.made("POST", "/groups", {"name": "freshers"})
    imported = threading.Event()
    statuses: list[int] = []

    def call_on() -> None:
        body = chat("[[echo:hi]]")
        raw = head("POST", CHAT, key, len(body)) + body
        while not imported.is_set():
            statuses.append(talk(server, raw).status)

    callers = [threading.Thread(target=call_on) for _ in range(3)]
    for caller in callers:
        caller.start()
    roster = [{"external_id": f"n{number}"} for number in range(2_000)]
    try:
        made = server.made("POST", "/groups/freshers/members?issue_keys=true", roster)
    finally:
        imported.set()
        for caller in callers:
            caller.join()

    assert len(made["data"]) == len(roster)
    assert set(statuses) == {200}


# ── an upstream that means harm ───────────────────────────────────────────────────────────────────────────────────

TOKEN = "token-of-no-known-form-5f2a"  # what some compatible servers give out
USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}'
FINE = (
    '{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,'
    '"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],' + USAGE + "}"
)


def answer(body: str, status: str = "200 OK", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(fields or ("content-type: application/json",))]
    lines += [f"content-length: {len(body)}", "", body]
    return "\r\n".join(lines).encode("latin-1")


def told(message: str, status: str) -> bytes:
    return answer(json.dumps({"error": {"message": message, "type": "x", "code": None}}), status)


LEAK = f"key {TOKEN} of org-abcdefgh1234 in proj_abcdefgh1234, also xai-****9876"
EVENTS = f'data: {{"choices":[]}}\n\ndata: {json.dumps({"error": {"message": LEAK}})}\n\n'
ANSWERS = {
    "fine": answer(FINE),
    "split": answer(FINE) + answer(FINE.replace("fine", "STOLEN")),
    "cookie": answer(
        FINE,
        "200 OK",
        "content-type: application/json",
        "set-cookie: a=b",
        "openai-organization: org-abcdefgh1234",
        "x-ratelimit-limit-requests: 99",
        "access-control-allow-origin: *",
        "x-tuckshop-cost-usd: 0",
    ),
    "long": answer(
        FINE, "200 OK", "content-type: a/" + "x" * 25_000, "x-request-id: " + "y" * 25_000
    ),
    "eight": answer(FINE, "200 OK", "content-type: text/\xff\x85"),
    "break": b"HTTP/1.1 200 OK\r\nx-a: b\rset-cookie: a=b\r\ncontent-length: 2\r\n\r\n{}",
    "both": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "redirect": answer("", "307 Temporary Redirect", "location: http://127.0.0.1:{trap}/"),
    "tell400": told(LEAK, "400 Bad Request"),
    "tell401": told(LEAK, "401 Unauthorized"),
    "tell403": told(LEAK, "403 Forbidden"),
    "tell429": told(LEAK, "429 Too Many Requests"),
    "tell500": told(LEAK, "500 Internal Server Error"),
    "page404": answer(LEAK, "404 Not Found", "content-type: text/html"),
    "stream": answer(EVENTS, "200 OK", "content-type: text/event-stream"),
}


@pytest.fixture(scope="module")
def trap() -> Iterator[socket.socket]:
    """Where nobody may ever connect to."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


@pytest.fixture(scope="module")
def evil(
    tmp_path_factory: pytest.TempPathFactory, trap: socket.socket
) -> Iterator[tuple[Server, str]]:
    """A server with a hostile upstream, and a key; proxies are named in its environment."""
    trap_port = trap.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, trap_port), daemon=True).start()
        proxy = f"http://127.0.0.1:{trap_port}"
        server = start_server(
            tmp_path_factory.mktemp("evil"),
            f"http://127.0.0.1:{listener.getsockname()[1]}/v1",
            OPENAI_API_KEY=TOKEN,
            TUCKSHOP_LOG_LEVEL="debug",
            http_proxy=proxy,
            HTTP_PROXY=proxy,
            ALL_PROXY=proxy,
            https_proxy=proxy,
        )
        yield server, key_of_new_member(server, "victims")
        assert server.stop() == 0


def _serve(listener: socket.socket, trap_port: int) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(sock, trap_port), daemon=True).start()


def _answer(sock: socket.socket, trap_port: int) -> None:
    with sock:
        seen = b""
        while True:
            while not _is_whole(seen):
                piece = sock.recv(65_536)
                if not piece:
                    return
                seen += piece
            match = re.search(rb"R:(\w+)", seen)
            said = ANSWERS[match[1].decode() if match else "fine"]
            seen = b""
            sock.sendall(said.replace(b"{trap}", str(trap_port).encode()))


def _is_whole(request: bytes) -> bool:
    start, found, body = request.partition(b"\r\n\r\n")
    match = re.search(rb"content-length: (\d+)", start)
    return bool(found) and match is not None and len(body) >= int(match[1])


def ask(server: Server, key: str, what: str) -> tuple[Reply, str]:
    body = chat(f"{PROMPT_CANARY} R:{what}", stream=what == "stream")
    reply = talk(server, head("POST", CHAT, key, len(body)) + body)
    return reply, f"{reply.headers} {reply.body.decode('latin-1')}"


@pytest.mark.parametrize("what", ANSWERS)
def test_an_upstreams_reply_brings_along_nothing_but_its_answer(
    evil: tuple[Server, str], trap: socket.socket, what: str
) -> None:
    """Section 10, K2, E4: no account, cookie, foreign rule or second reply; and the next one gets their own."""
    server, key = evil

    reply, seen = ask(server, key, what)

    expected = {"break": 502, "both": 502, "redirect": 502, "tell400": 400, "tell401": 502}
    expected |= {"tell403": 502, "tell429": 503, "tell500": 502, "page404": 502}
    assert reply.status == expected.get(what, 200)
    for secret in (TOKEN, "org-abc", "proj_abc", "9876", "STOLEN"):
        assert secret not in seen
    for name in ("set-cookie", "openai-organization", "x-ratelimit-limit-requests", "location"):
        assert name not in reply.headers
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert reply.headers.get("x-tuckshop-cost-usd") != "0"
    assert all(len(value) < 300 and value.isascii() for value in reply.headers.values())
    assert (
        len(server.made("GET", "/requests?limit=1")["data"][0]["upstream_request_id"] or "") < 200
    )
    with pytest.raises(BlockingIOError):
        trap.accept()
    assert b'"fine"' in ask(server, key, "fine")[0].body


def test_files_are_the_owners_alone_and_hold_neither_secrets_nor_prompts(
    evil: tuple[Server, str],
) -> None:
    """K1, K2, P1: the digest of a key, never the key; nothing of what was asked or answered."""
    server, key = evil
    ask(server, key, "fine")
    call("GET", f"{server.url}/v1/models?api_key={key}", token=key)

    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    for path in [*server.data.rglob("*"), server.log]:
        content = path.read_bytes()
        for secret in (key, TOKEN, CREDENTIAL, PROMPT_CANARY):
            assert secret.encode() not in content, path
        if path != server.log:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert path.stat().st_uid == os.getuid()
    assert ADMIN_TOKEN not in server.log.read_text()
