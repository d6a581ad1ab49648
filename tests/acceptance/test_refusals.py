"""The contract's table of refusals, each row that can occur, from outside; and what the edge refuses (E2 to E5)."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import NewKey, key_of_new_member
from tests.support.http import Reply, parsed, post, request_bytes, send
from tests.support.processes import ADMIN_TOKEN, CREDENTIAL, Server, call

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello."}]
ASK: dict[str, Any] = {"model": MODEL, "messages": HELLO, "max_tokens": 20}


def ask(server: Server, key: str, path: str = CHAT, **changes: Any) -> Reply:
    return asyncio.run(post(server.url, path, key, ASK | changes))


def raw(server: Server, request: bytes) -> Reply:
    return asyncio.run(send(server.url, request))


def head_of(server: Server, key: str, *more: str, path: str = CHAT, method: str = "POST") -> bytes:
    host = urlsplit(server.url).netloc
    lines = [
        f"{method} {path} HTTP/1.1",
        f"host: {host}",
        f"authorization: Bearer {key}",
        "connection: close",
    ]
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def parts(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


def fault(name: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"[[fault:{name}]]"}]


def test_every_refusal_is_in_openais_shape(server: Server) -> None:
    reply = ask(server, "sk-tuck-" + "0" * 40)

    assert set(reply.json) == {"error"}
    assert set(reply.json["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"].startswith("req_")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_missing_malformed_or_unknown_key_is_401(server: Server, new_key: NewKey) -> None:
    key = new_key()
    missing = raw(server, head_of(server, key).replace(b"authorization", b"x-authorization"))
    malformed = ask(server, key[:-1] + ("0" if key[-1] != "0" else "1"))
    unknown = ask(server, "sk-proj-0123456789")
    two = raw(server, head_of(server, key, "api-key: " + new_key(), "content-length: 0"))

    for reply in (missing, malformed, unknown, two):
        assert (reply.status, reply.code) == (401, "invalid_api_key")
        assert reply.json["error"]["type"] == "invalid_request_error"


def key_id_of(server: Server, key: str) -> str:
    return str(call("GET", f"{server.url}/api/v1/me", token=key)[1]["key"]["id"])


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("keys/{key}/revoke", 401, "key_revoked"),
        ("keys/{key}/archive", 401, "key_archived"),
        ("keys/{key}/pause", 403, "key_paused"),
        ("members/{member}/pause", 403, "member_paused"),
        ("groups/{group}/pause", 403, "group_paused"),
    ],
)
def test_a_state_holds_from_the_next_request_on(
    server: Server, new_key: NewKey, action: str, status: int, code: str
) -> None:
    """K3."""
    key = new_key()
    key_id = key_id_of(server, key)
    member = server.made("GET", f"/keys/{key_id}")["member"]
    group = server.made("GET", f"/members/{member}")["group"]
    assert ask(server, key).status == 200

    server.made("POST", "/" + action.format(key=key_id, member=member, group=group))

    reply = ask(server, key)
    assert (reply.status, reply.code) == (status, code)


def test_an_expired_key_is_refused(server: Server, new_key: NewKey) -> None:
    key = new_key(key={"expires_at": "2020-01-01T00:00:00Z"})

    reply = ask(server, key)

    assert (reply.status, reply.code) == (401, "key_expired")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/images/generations", "/v1/chat/completions"),
        ("/v1/nothing/like/this", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
    ],
)
def test_a_path_without_a_row_is_404_and_says_what_is_served(
    server: Server, new_key: NewKey, path: str, named: str
) -> None:
    reply = ask(server, new_key(), path=path)

    assert (reply.status, reply.code) == (404, "not_found")
    assert named in reply.json["error"]["message"]


def test_a_wrong_method_is_405(server: Server, new_key: NewKey) -> None:
    reply = raw(server, head_of(server, new_key(), method="PUT"))

    assert (reply.status, reply.code) == (405, "method_not_allowed")


def test_an_endpoint_or_model_that_the_policy_does_not_open_is_403_and_names_what_it_opens(
    server: Server, new_key: NewKey
) -> None:
    endpoint = ask(server, new_key(endpoints=["embeddings"]))
    model = ask(server, new_key(models=["gpt-4o", "text-*"]))
    nothing = ask(server, new_key(models=[]))
    narrowed = ask(server, new_key(models=[MODEL], key={"models": ["gpt-4o"]}))

    assert (endpoint.status, endpoint.code) == (403, "endpoint_not_allowed")
    assert "embeddings" in endpoint.json["error"]["message"]
    assert (model.status, model.code) == (403, "model_not_allowed")
    assert "gpt-4o" in model.json["error"]["message"]
    assert "text-*" in model.json["error"]["message"]
    assert nothing.code == narrowed.code == "model_not_allowed"


def test_a_model_nobody_knows_is_404_with_the_nearest_name(server: Server, new_key: NewKey) -> None:
    reply = ask(server, new_key(), model="gpt-4o-minni")

    assert (reply.status, reply.code) == (404, "model_not_found")
    assert MODEL in reply.json["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "code", "shown"),
    [
        ({"model": "gpt-4o-minni"}, "model_not_found", "gpt-4o-minni"),
        ({"model": "openai/gpt-4o"}, "model_not_allowed", "openai/gpt-4o"),
        ({"model": MODEL, "an_unknown_one": 1}, "parameter_not_allowed", MODEL),
        ({"model": "no\u001b[31mname"}, "model_not_found", ""),
        ({"model": "x" * 200}, "invalid_request_body", ""),
        ({"model": 7}, "invalid_request_body", ""),
    ],
)
def test_the_row_of_a_refusal_tells_the_model_that_was_asked_for(
    server: Server, new_key: NewKey, asked: dict[str, Any], code: str, shown: str
) -> None:
    """K13: whatever a client writes there."""
    key = new_key(models=[MODEL, "gpt-4o-minni", "no*", "x*"])

    reply = ask(server, key, **asked)

    assert reply.code == code
    (row,) = server.made("GET", f"/requests?key={key_id_of(server, key)}")["data"]
    assert (row["status"], row["error"], row["model"]) == ("refused", code, shown)


def test_the_upstreams_prefix_is_taken_off(server: Server, new_key: NewKey) -> None:
    assert ask(server, new_key(models=[MODEL]), model=f"openai/{MODEL}").status == 200


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"store": True}, "store"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"an_unknown_one": 1}, "an_unknown_one"),
        ({"messages": parts({"type": "input_audio", "input_audio": {"data": ""}})}, "messages"),
        ({"messages": parts({"type": "file", "file": {"file_id": "file-1"}})}, "messages"),
        ({"model": "gpt-4o-mini-search-preview"}, "model"),
    ],
)  # fmt: skip
def test_what_changes_the_price_or_leaves_something_behind_is_refused_by_name(
    server: Server, new_key: NewKey, changes: dict[str, Any], param: str
) -> None:
    reply = ask(server, new_key(), **changes)

    assert (reply.status, reply.code) == (400, "parameter_not_allowed")
    assert reply.json["error"]["param"].startswith(param)


def test_tiers_auto_and_default_both_go_out_as_default(server: Server, new_key: NewKey) -> None:
    key = new_key()

    assert ask(server, key, service_tier="auto").json["service_tier"] == "default"
    assert ask(server, key, service_tier="default").json["service_tier"] == "default"
    assert ask(server, key).json["service_tier"] == "default"


def test_a_spent_budget_says_which_limit_and_when_it_renews(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$0.000000001 total", "$1/month"], time_zone="Europe/Berlin")

    reply = ask(server, key)

    assert (reply.status, reply.code) == (429, "insufficient_quota")
    assert reply.json["error"]["type"] == "insufficient_quota"
    assert reply.headers["x-should-retry"] == "false"
    assert "$0.000000001 total" in reply.json["error"]["message"]


def test_a_full_rate_limit_says_when_to_come_again(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["1 request/3 seconds"])
    assert ask(server, key).status == 200

    reply = ask(server, key)

    assert (reply.status, reply.code) == (429, "rate_limit_exceeded")
    assert reply.json["error"]["type"] == "requests"
    assert 1 <= int(reply.headers["retry-after"]) <= 4
    assert int(reply.headers["retry-after-ms"]) <= 4000
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"
    assert reply.headers["x-ratelimit-limit-requests"] == "1"


def test_a_long_wait_must_not_be_retried(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["1 request/day"])
    ask(server, key)

    reply = ask(server, key)

    assert reply.code == "rate_limit_exceeded"
    assert reply.headers["x-should-retry"] == "false"


def test_shared_amounts_are_not_told_unless_the_group_shows_them(
    server: Server, new_key: NewKey
) -> None:
    hidden = ask(server, new_key(shared=["$0.000000123 total"]))
    shown = ask(server, new_key(shared=["$0.000000123 total"], show_shared=True))

    assert hidden.code == shown.code == "insufficient_quota"
    assert "0.000000123" not in hidden.json["error"]["message"]
    assert "group" in hidden.json["error"]["message"]
    assert "0.000000123" in shown.json["error"]["message"]


def test_what_is_only_held_is_waited_for_and_then_told_as_a_rate_limit(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["1 concurrent request"], patience_s=1)

    async def run() -> tuple[Reply, Reply, float]:
        slow = [{"role": "user", "content": "[[tokens:30]] [[speed:10]]"}]
        running = asyncio.create_task(
            post(server.url, CHAT, key, ASK | {"messages": slow, "max_tokens": 40})
        )
        await asyncio.sleep(0.4)
        began = time.monotonic()
        waited = await post(server.url, CHAT, key, ASK)
        return await running, waited, time.monotonic() - began

    first, second, took = asyncio.run(run())

    assert first.status == 200
    assert (second.status, second.code) == (429, "rate_limit_exceeded")
    assert second.headers["retry-after"] == "2"
    assert "1 running call" in second.json["error"]["message"]
    assert 0.9 <= took <= 3


def test_more_tokens_than_an_empty_limit_has_is_400(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["50 tokens/minute"])

    reply = ask(server, key)

    assert (reply.status, reply.code) == (400, "request_exceeds_limit")
    assert "50" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"model": "gpt-4o-mini", "model": "gpt-4o", "messages": []}',
        b'{"model": "gpt-4o-mini", "messages": [], "temperature": NaN}',
        b'\xef\xbb\xbf{"model": "gpt-4o-mini", "messages": []}',
        b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "gpt-4o-mini", "messages": "hello"}',
        b'{"model": 7, "messages": []}',
        b'{"model": "gpt-4o-mini", "messages": [], "stream": "yes"}',
        b'{"model": "gpt-4o-mini", "messages": [], "max_tokens": "many"}',
        b'{"model": "gpt-4o-mini", "messages": [], "n": 0}',
        b'{"a":' * 100 + b"1" + b"}" * 100,
    ],
)
def test_a_body_that_is_not_clean_json_or_of_wrong_types_is_400(
    server: Server, new_key: NewKey, body: bytes
) -> None:
    """E5: before anything is reserved."""
    key = new_key(each=["1 request/day"])
    request = head_of(server, key, "content-type: application/json", f"content-length: {len(body)}")

    reply = raw(server, request + body)

    assert (reply.status, reply.code) == (400, "invalid_request_body")
    limit = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"][0]
    assert (limit["used"], limit["reserved"]) == (0, 0)


def test_a_body_too_large_is_413(server: Server, new_key: NewKey) -> None:
    embeddings = raw(
        server, head_of(server, new_key(), "content-length: 5000000", path="/v1/embeddings")
    )
    chat = raw(server, head_of(server, new_key(), "content-length: 30000000"))

    assert (embeddings.status, embeddings.code) == (413, "request_too_large")
    assert (chat.status, chat.code) == (413, "request_too_large")


def test_a_content_coding_is_415(server: Server, new_key: NewKey) -> None:
    reply = raw(
        server, head_of(server, new_key(), "content-encoding: gzip", "content-length: 3") + b"abc"
    )

    assert (reply.status, reply.code) == (415, "unsupported_content_encoding")


@pytest.mark.parametrize(
    "change",
    [
        (b"connection: close", b"content-length: 2\r\ntransfer-encoding: chunked"),
        (b"connection: close", b"content-length: 2\r\ncontent-length: 3"),
        (b"connection: close", b"content-length: +2"),
        (b"connection: close", b"transfer-encoding: gzip, chunked"),
        (b"HTTP/1.1\r\n", b"HTTP/1.0\r\ntransfer-encoding: chunked\r\n"),
        (b"HTTP/1.1\r\n", b"HTTP/2.0\r\n"),
        (b"host: ", b"x-host: "),
        (b"host: ", b"host: other\r\nhost: "),
        (b"connection: close", b"folded: a\r\n b"),
        (b"connection: close", b"bad name: a"),
        (b"/v1/chat/completions", b"/v1/chat%2fcompletions"),
        (b"/v1/chat/completions", b"/v1//chat/completions"),
        (b"/v1/chat/completions", b"/v1/../v1/chat/completions"),
        (b"/v1/chat/completions", b"http://elsewhere/v1/chat/completions"),
    ],
)
def test_framing_headers_and_targets_that_are_not_clean_are_400_and_close(
    server: Server, new_key: NewKey, change: tuple[bytes, bytes]
) -> None:
    """E2, E3."""
    request = head_of(server, new_key()).replace(*change) + b"{}"

    reply = raw(server, request)

    assert reply.status in (400, 404)
    assert reply.code in ("invalid_request", "not_found")
    if reply.status == 404:
        assert b"elsewhere" in change[1]


@pytest.mark.parametrize(
    ("name", "status", "code", "retries"),
    [
        ("401", 502, "upstream_unavailable", False),
        ("insufficient-quota", 502, "upstream_unavailable", False),
        ("429", 503, "upstream_overloaded", True),
        ("503", 503, "upstream_overloaded", True),
        ("500", 502, "upstream_unavailable", True),
    ],
)
def test_what_the_upstream_refuses_is_told_by_our_code_and_charged_nothing(
    server: Server, new_key: NewKey, name: str, status: int, code: str, retries: bool
) -> None:
    """M10: its own error body is the proof that nothing was billed."""
    key = new_key(each=["$1/month"])

    reply = ask(server, key, messages=fault(name))

    assert (reply.status, reply.code) == (status, code)
    assert (reply.headers.get("x-should-retry") != "false") == retries
    assert CREDENTIAL.encode()[-8:] not in reply.body
    limit = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"][0]
    assert (limit["used"], limit["reserved"]) == (0, 0)
    (row,) = server.made("GET", f"/requests?key={key_id_of(server, key)}")["data"]
    assert row["status"] == "voided"


@pytest.mark.parametrize(
    "name", ["reset-before-head", "502", "no-usage", "usage-negative", "usage-huge"]
)
def test_what_nobody_can_know_is_charged_at_the_bound_and_flagged(
    server: Server, new_key: NewKey, name: str
) -> None:
    """M9."""
    key = new_key(each=["$1/month"])

    ask(server, key, messages=fault(name))

    (row,) = server.made("GET", f"/requests?key={key_id_of(server, key)}")["data"]
    assert row["status"] == "settled"
    assert "unconfirmed" in row["flags"]
    assert row["cost_usd"] > 0


def test_a_flood_from_one_key_is_429_and_leaves_few_rows(server: Server, folder: Path) -> None:
    from tests.support.processes import start_server

    small = start_server(
        folder, None, TUCKSHOP_EDGE_FLOOD_PER_SECOND="5", TUCKSHOP_EDGE_FLOOD_BURST="10"
    )
    try:
        key = key_of_new_member(small, "flood")

        async def run() -> list[Reply]:
            request = request_bytes(small.url, "/v1/models", key, None, method="GET")
            return list(await asyncio.gather(*(send(small.url, request) for _ in range(60))))

        replies = asyncio.run(run())
        refused = [reply for reply in replies if reply.status == 429]
        assert len(refused) >= 40
        assert {reply.code for reply in refused} == {"rate_limit_exceeded"}
        time.sleep(1.2)
        rows = small.made("GET", "/requests?status=refused")["data"]
        assert sum(row["repeats"] for row in rows) == len(refused)
        assert len(rows) <= 3
    finally:
        small.stop()


def test_without_a_credential_calls_are_refused_and_the_rest_works(folder: Path) -> None:
    from tests.support.processes import start_server

    bare = start_server(folder, None)
    try:
        key = key_of_new_member(bare, "bare")
        reply = ask(bare, key)
        assert (reply.status, reply.code) == (502, "upstream_unavailable")
        assert bare.made("GET", "/groups/bare")["state"] == "active"
    finally:
        bare.stop()


def test_nothing_secret_stands_in_the_log_or_the_database(server: Server, new_key: NewKey) -> None:
    """K1, K2."""
    key = new_key()
    ask(server, key, messages=[{"role": "user", "content": "a-canary-prompt"}])

    stores = [server.log, *(p for p in server.data.iterdir() if p.name != "admin-token")]
    for store in stores:
        if store.is_file():
            content = store.read_bytes()
            for secret in (key, CREDENTIAL, ADMIN_TOKEN, "a-canary-prompt"):
                assert secret.encode() not in content, f"{secret} stands in {store.name}"


def test_two_requests_on_one_connection_are_answered_in_order(
    server: Server, new_key: NewKey
) -> None:
    key = new_key()
    parts = urlsplit(server.url)
    one = request_bytes(server.url, CHAT, key, ASK | {"n": 1}).replace(
        b"connection: close\r\n", b""
    )
    two = request_bytes(server.url, "/v1/models/gpt-4o-mini", key, None, method="GET")

    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as client:
        client.sendall(one + two)
        answer = b""
        while piece := client.recv(65536):
            answer += piece

    first = parsed(answer)
    rest = answer[answer.index(b"\r\n\r\n") + 4 + len(first.body) :]
    assert json.loads(first.body)["object"] == "chat.completion"
    assert parsed(rest).json["id"] == MODEL
