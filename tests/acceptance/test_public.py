"""A server that others can reach: two listeners, browsers, what is refused and told at the start (K4, K14)."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pty
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_start import refused
from tests.support.certificates import self_signed
from tests.support.processes import (
    ADMIN_TOKEN,
    COMMAND,
    CREDENTIAL,
    Mock,
    Server,
    call,
    clean_environment,
    start_server,
)

PAGE = "https://chat.example.org"
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[tuple[Server, str]]:
    """A server whose admin API has a listener of its own, and the address of its data plane."""
    port = free_port()
    server = start_server(
        tmp_path_factory.mktemp("two"),
        mock.url,
        TUCKSHOP_PORT=str(port),
        TUCKSHOP_ADMIN_PORT="0",
        TUCKSHOP_PUBLIC_URL="https://tuckshop.example.org/",
        TUCKSHOP_BROWSER_ORIGINS=PAGE,
    )
    yield server, f"http://127.0.0.1:{port}"
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture(scope="module")
def key(two: tuple[Server, str]) -> str:
    return key_of_new_member(two[0], "public", each=["$1/month"])


def test_calls_and_the_admin_api_are_apart(two: tuple[Server, str], key: str) -> None:
    server, data_plane = two

    assert call("POST", f"{data_plane}/v1/chat/completions", BODY, token=key)[0] == 200
    assert call("GET", f"{data_plane}/api/v1/me", token=key)[0] == 200
    assert call("GET", f"{server.url}/api/v1/me", token=key)[0] == 200
    for url in (server.url, data_plane):
        assert call("GET", f"{url}/healthz")[0] == 200
        assert call("GET", f"{url}/readyz")[0] == 200
    assert call("POST", f"{server.url}/v1/chat/completions", BODY, token=key)[0] == 404
    assert call("GET", f"{server.url}/v1/models", token=ADMIN_TOKEN)[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1/groups",
        "/api/openapi.json",
        "/api/v1/mex",
        "/api/v1/m%65x",
        "/api/v1/me/../groups",
    ],
)
def test_the_admin_token_is_of_no_use_on_the_data_plane(two: tuple[Server, str], path: str) -> None:
    status, answer = call("GET", two[1] + path, token=ADMIN_TOKEN)

    assert status == (400 if ".." in path else 404)
    assert "data" not in answer


def test_the_commands_find_the_admin_api_and_say_the_public_address(
    two: tuple[Server, str],
) -> None:
    server, data_plane = two
    environment = clean_environment() | {"TUCKSHOP_DATA": str(server.data)}

    done = subprocess.run(
        [str(COMMAND), "group", "list", "--json"], env=environment, capture_output=True, check=True
    )
    run = json.loads((server.data / "run.json").read_text())

    assert [group["name"] for group in json.loads(done.stdout)["data"]]
    assert run["url"] == server.url != data_plane
    assert run["calls_url"] == "https://tuckshop.example.org"


def test_who_is_given_a_key_is_told_the_public_address(two: tuple[Server, str], key: str) -> None:
    ours, theirs = (
        pty.openpty()
    )  # the hint is for people: nothing is said where the key goes into a file
    try:
        done = subprocess.run(
            [str(COMMAND), "key", "create", "--member", "public/public-1"],
            env=clean_environment() | {"TUCKSHOP_DATA": str(two[0].data)},
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)

    assert "OPENAI_BASE_URL to https://tuckshop.example.org/v1." in " ".join(done.stderr.split())


def test_the_commands_trust_the_authority_that_is_named(tmp_path: Path) -> None:
    certificate, private = self_signed(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"data": [], "next_cursor": null}')

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not like the certificate is what is tested."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        environment = clean_environment() | {
            "TUCKSHOP_URL": f"https://localhost:{server.server_address[1]}",
            "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
        }

        def run(**more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [str(COMMAND), "group", "list", "--json"],
                env=environment | more,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )

        stranger, trusting = run(), run(TUCKSHOP_CA_FILE=str(certificate))
        server.shutdown()

    assert stranger.returncode == 1
    assert "no certificate that this machine trusts" in " ".join(stranger.stderr.split())
    assert (trusting.returncode, json.loads(trusting.stdout)["data"]) == (0, [])


def test_a_call_goes_out_through_the_proxy_that_is_set(tmp_path: Path, mock: Mock) -> None:
    """With the upstream's own name, which only the proxy can look up."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        asked.append(client.recv(65_536))
        there = socket.create_connection(
            ("127.0.0.1", int(asked[0].split()[1].rpartition(b":")[2]))
        )
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        pumps = [
            threading.Thread(target=pump, args=pair) for pair in ((client, there), (there, client))
        ]
        for thread in pumps:
            thread.start()
        for thread in pumps:
            thread.join()

    def pump(source: socket.socket, target: socket.socket) -> None:
        with source, contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = threading.Thread(target=serve, args=(listener,))
        proxy.start()
        upstream = mock.url.replace("127.0.0.1", "provider.invalid")
        server = start_server(
            tmp_path,
            upstream,
            TUCKSHOP_UPSTREAM_PROXY=f"http://me:CANARY@127.0.0.1:{listener.getsockname()[1]}",
        )
        key = key_of_new_member(server, "out", each=["$1/month"])
        status, _ = call("POST", f"{server.url}/v1/chat/completions", BODY, token=key)
        assert server.stop() == 0
        proxy.join(10)

    assert status == 200
    assert asked[0].startswith(b"CONNECT provider.invalid:")
    assert CREDENTIAL.encode() not in asked[0]
    assert "CANARY" not in server.log.read_text()


def test_a_taken_admin_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(tmp_path, TUCKSHOP_ADMIN_PORT=str(taken.getsockname()[1]))

    assert "TUCKSHOP_ADMIN_PORT" in said


def as_page(
    method: str, url: str, origin: str, key: str | None = None, **more: str
) -> tuple[int, Any]:
    headers = {"origin": origin, **{n.replace("_", "-"): v for n, v in more.items()}}
    data = None
    if key is not None:
        headers |= {"authorization": f"Bearer {key}", "content-type": "application/json"}
        data = json.dumps(BODY).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


def test_a_page_of_a_named_origin_may_call_and_no_other(two: tuple[Server, str], key: str) -> None:
    url = two[1] + "/v1/chat/completions"
    asked = {
        "access_control_request_method": "POST",
        "access_control_request_headers": "authorization",
    }

    status, headers = as_page("OPTIONS", url, PAGE, **asked)
    assert (status, headers["access-control-allow-origin"]) == (204, PAGE)
    assert headers["access-control-allow-headers"] == "authorization"

    status, headers = as_page("POST", url, PAGE, key)
    assert (status, headers["access-control-allow-origin"]) == (200, PAGE)
    for name in ("x-request-id", "x-tuckshop-budget-remaining-usd"):
        assert name in headers
        assert name in headers["access-control-expose-headers"].split(", ")

    status, headers = as_page("POST", url, PAGE, "sk-wrong")
    assert (status, headers["access-control-allow-origin"]) == (401, PAGE)

    for method, status in (("OPTIONS", 401), ("POST", 401)):
        got, headers = as_page(method, url, "https://other.example.org", **asked)
        assert (got, headers["access-control-allow-origin"]) == (status, None)


def test_the_admin_api_is_for_no_page(two: tuple[Server, str]) -> None:
    status, headers = as_page(
        "OPTIONS", f"{two[0].url}/api/v1/groups", PAGE, access_control_request_method="GET"
    )

    assert status == 405
    assert headers["access-control-allow-origin"] is None


@pytest.mark.parametrize(
    "place", [{"TUCKSHOP_HOST": "0.0.0.0"}, {"TUCKSHOP_PUBLIC_URL": "https://tuckshop.example.org"}]
)
def test_a_weak_token_is_refused_where_others_reach_the_server(
    tmp_path: Path, place: dict[str, str]
) -> None:
    """K14."""
    said = refused(tmp_path, TUCKSHOP_ADMIN_TOKEN="changeme-changeme", **place)
    assert said.startswith("TUCKSHOP_ADMIN_TOKEN ")
    assert "changeme" not in said


@pytest.mark.parametrize(
    ("url", "warned"),
    [(None, True), ("https://tuckshop.example.org", False), ("http://tuckshop.example.org", True)],
)
def test_the_public_url_silences_the_warning_about_tls(
    tmp_path: Path, url: str | None, warned: bool
) -> None:
    settings: dict[str, Any] = {"TUCKSHOP_HOST": "0.0.0.0"} | (
        {"TUCKSHOP_PUBLIC_URL": url} if url else {}
    )

    server = start_server(tmp_path, None, **settings)
    assert server.stop() == 0

    assert ("TLS" in server.log.read_text()) == warned


def test_the_log_tells_who_called_without_the_token(tmp_path: Path) -> None:
    """The peer; behind a trusted proxy, whom it names; of others a forged field is not believed."""
    for proxies, seen in (("127.0.0.0/8", "203.0.113.7"), ("10.0.0.0/8", "127.0.0.1")):
        server = start_server(tmp_path, None, TUCKSHOP_TRUSTED_PROXIES=proxies)
        request = urllib.request.Request(
            f"{server.url}/api/v1/groups", headers={"x-forwarded-for": "10.9.9.9, 203.0.113.7"}
        )
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=10)
        error.value.close()
        assert server.stop() == 0
        assert f"the last from {seen}\n" in server.log.read_text()


def test_config_shows_the_proxy_without_its_password(tmp_path: Path) -> None:
    environment = clean_environment() | {
        "TUCKSHOP_UPSTREAM_PROXY": "http://me:CANARY@proxy.test:3128"
    }

    done = subprocess.run(
        [str(COMMAND), "config", "--json", "--changed"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "CANARY" not in done.stdout
    [row] = json.loads(done.stdout)["data"]
    assert row["value"] == "http://…@proxy.test:3128"
