"""
Behind nginx and Caddy, set up by the very files of deploy/: nothing is gathered, lost or believed that should not be.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.support.front_proxies import HOST, Front, start_caddy, start_nginx
from tests.support.processes import ADMIN_TOKEN, Mock, Server, call, start_server

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
CLIENT = "127.0.0.9"  # everybody's address on this machine but the fronts', which are 127.0.0.1
FORGED = "198.51.100.66"


@dataclass
class Site:
    """A server on the web, as far as loopback goes."""

    server: Server
    front: Front
    key: str

    def connect(self) -> http.client.HTTPSConnection:
        """To the front, as somebody who looks HOST up."""
        context = ssl.create_default_context(cafile=str(self.front.certificate))
        connection = http.client.HTTPSConnection(HOST, timeout=30, context=context)
        plain = socket.create_connection(
            ("127.0.0.1", self.front.port), timeout=30, source_address=(CLIENT, 0)
        )
        connection.sock = context.wrap_socket(plain, server_hostname=HOST)
        return connection

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        """(status, JSON or text)."""
        connection = self.connect()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body=data, headers=sent)
            reply = connection.getresponse()
            raw = reply.read().decode()
        finally:
            connection.close()
        try:
            return reply.status, json.loads(raw)
        except ValueError:
            return reply.status, raw


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture(scope="module", params=[start_nginx, start_caddy], ids=["nginx", "caddy"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mock: Mock
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    start: Callable[[Path, int], Front] = request.param
    server = start_server(
        folder,
        mock.url,
        TUCKSHOP_TRUSTED_PROXIES="127.0.0.1",
        TUCKSHOP_PUBLIC_URL=f"https://{HOST}",
    )
    try:
        front = start(folder, int(server.url.rpartition(":")[2]))
        try:
            key = key_of_new_member(server, "web", each=["$100/month"])
            yield Site(server, front, key)
        finally:
            front.stop()
    finally:
        assert server.stop() == 0, server.log.read_text()


def test_an_event_reaches_the_client_before_the_next_exists(site: Site, mock: Mock) -> None:
    """In lock-step: the provider makes event n+1 only once the client has event n."""
    control = f"{mock.url.removesuffix('/v1')}/_mock/next?id=front-{site.front.name}"
    body = json.dumps(chat(f"[[lockstep:front-{site.front.name}]] [[tokens:12]]", stream=True))
    connection = site.connect()
    connection.request(
        "POST",
        CHAT,
        body=body,
        headers={"authorization": f"Bearer {site.key}", "content-type": "application/json"},
    )
    reply = connection.getresponse()
    events = 0
    try:
        while line := reply.readline():
            if not line.startswith(b"data: {"):
                continue
            events += 1
            is_last = json.loads(line[6:])["choices"][0]["finish_reason"] is not None
            call("POST", control + ("&events=3" if is_last else ""))
    finally:
        connection.close()

    assert reply.status == 200
    assert events >= 12


def test_a_large_prompt_comes_through_whole(site: Site) -> None:
    status, answer = site.ask("POST", CHAT, chat("[[tokens:3]]" + "x" * 300_000), token=site.key)

    assert status == 200
    # The made-up provider counts eight bytes of a long text as one token.
    assert answer["usage"]["prompt_tokens"] >= 300_000 // 8


def test_a_body_of_megabytes_is_counted_by_tuckshop(site: Site) -> None:
    """Below its bound the body is read and answered by the JSON's fault, above it refused; the front takes both."""
    status, answer = site.ask(
        "POST", CHAT, chat("x" * 12_000_000, no_such_parameter=1), token=site.key
    )

    assert (status, answer["error"]["code"]) == (400, "parameter_not_allowed")

    try:
        status, answer = site.ask("POST", CHAT, chat("x" * 20_971_520), token=site.key)
    except OSError:
        # Caddy passes the refusal on and closes at once; who is still sending may not come to read it.
        assert site.front.name == "caddy"
    else:
        assert (status, answer["error"]["code"]) == (413, "request_too_large")


def test_a_client_that_leaves_is_noticed(site: Site) -> None:
    before = {row["id"] for row in site.server.made("GET", "/requests")["data"]}
    connection = site.connect()
    connection.request(
        "POST",
        CHAT,
        body=json.dumps(chat("[[tokens:100]] [[speed:50]]", stream=True)),
        headers={"authorization": f"Bearer {site.key}", "content-type": "application/json"},
    )
    reply = connection.getresponse()
    assert reply.readline().startswith(b"data: ")
    reply.close()
    connection.close()

    deadline = time.monotonic() + 20
    rows: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        listed = site.server.made("GET", "/requests")["data"]
        rows = [row for row in listed if row["id"] not in before]
        if rows and rows[0]["status"] == "settled":
            break
        time.sleep(0.1)

    assert [row["status"] for row in rows] == ["settled"]
    assert "client_left" in rows[0]["flags"]
    assert rows[0]["output_tokens"] == 100  # read on to its end, and charged exactly


def test_the_admin_api_is_not_on_the_web(site: Site) -> None:
    for path in ("/api/v1/groups", "/api/openapi.json", "/api", "/metrics"):
        assert site.ask("GET", path, token=ADMIN_TOKEN)[0] == 404, path
    assert site.ask("GET", "/api/v1/me", token=site.key)[0] == 200
    assert site.ask("GET", "/claim/")[0] == 200
    assert site.ask("GET", "/appeal/")[0] == 200
    for path in ("claim", "appeal", "appeal/flags"):
        assert site.ask("POST", f"/api/v1/{path}")[0] == 403  # served, and no page of ours asked


def test_who_calls_is_told_by_the_front_and_not_by_the_client(site: Site) -> None:
    """The front is trusted, so its word counts; what a client forges it replaces."""
    status, _ = site.ask("GET", "/api/v1/me", token="sk-wrong", x_forwarded_for=FORGED)

    assert status == 401
    log = site.server.log.read_text()
    assert f"the last from {CLIENT}\n" in log
    assert FORGED not in log


def test_refusals_and_connections_survive_the_front(site: Site) -> None:
    """A hundred calls one after the other, some refused: no connection between the two is used as it closes."""
    connection = site.connect()
    statuses = []
    for number in range(100):
        key = site.key if number % 3 else "sk-wrong"
        connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
    connection.close()

    assert statuses == [200 if number % 3 else 401 for number in range(100)]


def test_a_client_that_reads_late_gets_all_of_it_and_keeps_nobody_waiting(site: Site) -> None:
    """E6: what it does not take waits at the provider, not in the front's files or in anybody's way."""
    connection = site.connect()
    body = json.dumps(chat("[[tokens:12000]] [[speed:1000000]]", stream=True))
    headers = {"authorization": f"Bearer {site.key}", "content-type": "application/json"}
    connection.request("POST", CHAT, body=body, headers=headers)
    time.sleep(1)
    for _ in range(5):
        assert site.ask("POST", CHAT, chat("[[echo:quick]]"), token=site.key)[0] == 200
    reply = connection.getresponse()
    said = reply.read()
    connection.close()

    assert reply.status == 200
    assert said.endswith(b"data: [DONE]\n\n")
    assert said.count(b"data: {") >= 12_000


def test_a_prompt_that_comes_slowly_is_served(site: Site) -> None:
    """E1: the body's time is tuckshop's to count, and the front hands on what has come."""
    body = json.dumps(chat("[[echo:slow]]" + "x" * 2_000)).encode()
    connection = site.connect()
    connection.putrequest("POST", CHAT)
    connection.putheader("authorization", f"Bearer {site.key}")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders()
    for start in range(0, len(body), 200):
        connection.send(body[start : start + 200])
        time.sleep(0.1)
    reply = connection.getresponse()
    answer = json.loads(reply.read())
    connection.close()

    assert reply.status == 200
    assert answer["choices"][0]["message"]["content"] == "slow"


@pytest.mark.parametrize(
    "forged",
    [f"{FORGED}, 127.0.0.1", f"127.0.0.1, {FORGED}", "unknown", "127.0.0.1, " * 30 + FORGED, ""],
)
def test_no_list_of_addresses_that_a_client_sends_hides_where_it_is(
    site: Site, forged: str
) -> None:
    """Only what the front saw itself counts, however long or odd what stands before it."""
    time.sleep(1.1)  # the log tells such attempts once a second at most
    before = len(site.server.log.read_text())

    status, _ = site.ask("GET", "/api/v1/me", token="sk-wrong", x_forwarded_for=forged)

    assert status == 401
    log = site.server.log.read_text()[before:]
    assert f"the last from {CLIENT}\n" in log
    assert FORGED not in log
