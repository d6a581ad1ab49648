"""
How a call ends, and what it costs: the table of reliability section 5, row by row, against the provider's own bill.

Each test asks as a client would and looks at three things: what the client got, what the request's row says, and what
the made-up provider billed. Recorded is never less than billed (M5), equal wherever valid usage arrived, and more only
where a flag says so (M16).
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.caller import (
    BILLED_ERROR,
    CHAT,
    MODEL,
    Answer,
    Caller,
    alarms,
    assert_books_hold,
    assert_bound,
    assert_exact,
    assert_void,
    nano,
    new_caller,
    rows_of,
    until,
)
from tests.support.processes import Mock, Server, call, start_mock, start_server

GAP_S = 1  # the upstream may be silent for so long
WHOLE_S = 5  # and a call may take so long in all


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    mock = start_mock(tmp_path_factory.mktemp("upstream"))
    yield mock
    mock.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[Server]:
    server = start_server(
        tmp_path_factory.mktemp("server"),
        mock.url,
        TUCKSHOP_EDGE_UPSTREAM_GAP_TIMEOUT_S=str(GAP_S),
        TUCKSHOP_EDGE_UPSTREAM_FIRST_BYTE_TIMEOUT_S=str(GAP_S),
        TUCKSHOP_EDGE_REQUEST_TIMEOUT_S=str(WHOLE_S),
        TUCKSHOP_EDGE_DRAINED_PER_MEMBER_MAX="1",
    )
    yield server
    assert_books_hold(server, mock)
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture
def caller(server: Server, mock: Mock, request: pytest.FixtureRequest) -> Caller:
    return new_caller(server, mock)


STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


# ── valid usage received ─────────────────────────────────────────────────────────────────────────────────────────


@STREAMED
@pytest.mark.parametrize(
    "marker",
    [
        "", "[[cached:2]]", "[[fault:usage-no-details]]", "[[fault:usage-in-every-chunk]]",
        "[[fault:usage-with-finish]]", "[[fault:crlf]]", "[[fault:many-data-lines]]", "[[fault:gzip]]",
        "[[fault:until-close]]", "[[fault:close-after-reply]]", "[[fault:stray-reply]]", "[[fault:byte-by-byte]]",
        "[[fault:early-hints]]",
    ],
)  # fmt: skip
def test_valid_usage_is_charged_exactly(caller: Caller, marker: str, stream: bool) -> None:
    answer = caller.ask(f"Hi {marker}", stream=stream)

    assert answer.status == 200
    row = assert_exact(caller)
    if not stream:
        assert nano(float(answer.headers["x-tuckshop-cost-usd"])) == nano(row["cost_usd"])


def test_usage_of_a_reply_too_long_to_be_kept_is_charged_exactly(caller: Caller) -> None:
    assert len(caller.ask("Hi [[fault:huge-reply]]").body) > 16 << 20

    assert_exact(caller)


def test_embeddings_are_charged_exactly_and_moderations_are_free(caller: Caller) -> None:
    caller.ask("a text", path="/v1/embeddings", model="text-embedding-3-small")
    assert_exact(caller)

    answer = caller.ask("a text", path="/v1/moderations", model="omni-moderation-latest")
    newest, _ = caller.rows(2)

    assert answer.status == 200
    assert (newest["status"], newest["cost_usd"], newest["flags"]) == ("settled", 0, [])


def test_the_dearer_model_that_answered_is_charged(caller: Caller) -> None:
    caller.ask("Hi [[fault:other-model]]")

    row = assert_exact(caller)
    assert nano(row["cost_usd"]) == 2500 * row["input_tokens"] + 10_000 * row["output_tokens"]


def test_a_model_that_nobody_knows_is_flagged(caller: Caller) -> None:
    caller.ask("Hi [[fault:unknown-model]]")

    assert_exact(caller, "estimated")


@STREAMED
def test_a_dearer_tier_is_charged_at_the_most_it_can_cost(caller: Caller, stream: bool) -> None:
    caller.ask("Hi [[fault:other-tier]]", stream=stream)

    row = caller.row()
    billed = caller.billed(row)
    assert billed is not None
    assert row["flags"] == ["estimated"]
    assert nano(row["cost_usd"]) == -(-billed.cost_nano_usd * 5 // 2)


# ── no byte of the request was written ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:{port}/v1", "http://nowhere.invalid/v1", "https://{tcp}/v1"]
)
def test_what_never_left_is_void(tmp_path: Path, where: str) -> None:
    """Refused, no such name, no TLS (M10)."""
    with (
        socket.create_server(("127.0.0.1", 0)) as plain,
        socket.create_server(("127.0.0.1", 0)) as gone,
    ):
        port = gone.getsockname()[1]
        gone.close()
        threading.Thread(target=_answer_in_clear, args=(plain,), daemon=True).start()
        url = where.format(port=port, tcp=f"127.0.0.1:{plain.getsockname()[1]}")
        server = start_server(tmp_path, url)
        try:
            mock = Mock(server.process, "", tmp_path / "no-bill", tmp_path)  # type: ignore[arg-type]
            caller = new_caller(server, mock)
            answer = caller.ask()
            row = caller.row()
        finally:
            server.stop()

    assert (answer.status, answer.code) == (502, "upstream_unavailable")
    assert (row["status"], row["cost_usd"], row["flags"]) == ("voided", 0, [])


def _answer_in_clear(listener: socket.socket) -> None:
    """What is no TLS."""
    try:
        while True:
            link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(b"HTTP/1.1 400 no\r\n\r\n")
    except OSError:
        pass  # closed: the test is over


# ── errors of the provider ───────────────────────────────────────────────────────────────────────────────────────


@STREAMED
@pytest.mark.parametrize(
    ("fault", "status", "code", "error"),
    [
        ("400", 400, "context_length_exceeded", "context_length_exceeded"),
        ("404", 404, "model_not_found", "model_not_found"),
        ("429", 503, "upstream_overloaded", "rate_limit_exceeded"),
        ("429-long", 503, "upstream_overloaded", "rate_limit_exceeded"),
        ("500", 502, "upstream_unavailable", "server_error"),
        ("503", 503, "upstream_overloaded", "server_is_overloaded"),
        ("529", 503, "upstream_overloaded", "server_is_overloaded"),
        ("401", 502, "upstream_unavailable", "invalid_api_key"),
        ("403", 502, "upstream_unavailable", "unsupported_country_region_territory"),
        ("insufficient-quota", 502, "upstream_unavailable", "insufficient_quota"),
    ],
)
def test_an_error_of_the_provider_is_void(
    caller: Caller, fault: str, status: int, code: str, error: str, stream: bool
) -> None:
    answer = caller.ask(f"Hi [[fault:{fault}]]", stream=stream)

    assert (answer.status, answer.code) == (status, code)
    assert_void(caller, status, error)
    is_ours = fault in ("401", "403", "insufficient-quota")
    assert (answer.headers.get("x-should-retry") == "false") is (is_ours or fault == "429-long")
    if fault.startswith("429"):
        assert answer.headers["retry-after"] == {"429": "1", "429-long": "120"}[fault]


def test_an_error_that_was_billed_after_all_is_left_to_the_comparison(caller: Caller) -> None:
    caller.ask(f"Hi [[fault:{BILLED_ERROR}]]", tag=BILLED_ERROR)

    assert_void(caller, 502, "server_error")


# ── an outcome that nobody can know ──────────────────────────────────────────────────────────────────────────────


@STREAMED
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("502", 502, "upstream_unavailable"),
        ("504", 504, "upstream_timeout"),
        ("reset-before-head", 502, "upstream_unavailable"),
        ("refuse-after-headers", 502, "upstream_unavailable"),
        ("400-page", 502, "upstream_unavailable"),
    ],
)
def test_a_page_of_a_gateway_or_a_reset_costs_the_bound(
    caller: Caller, fault: str, status: int, code: str, stream: bool
) -> None:
    answer = caller.ask(f"Hi [[fault:{fault}]]", stream=stream)

    assert (answer.status, answer.code) == (status, code)
    assert assert_bound(caller)["http_status"] == status


@pytest.mark.parametrize(
    "fault",
    [
        "stop-mid-stream", "reset-mid-stream", "close-mid-stream", "reset-after-head", "broken-framing", "error-event",
        "no-usage", "usage-null", "huge-event",
    ],
)  # fmt: skip
def test_a_stream_without_usage_costs_the_bound(caller: Caller, fault: str) -> None:
    answer = caller.ask(f"Hi [[fault:{fault}]]", stream=True)

    assert answer.status == 200
    assert_bound(caller)
    if fault.startswith(("reset", "close", "broken")):
        assert answer.code == "upstream_unavailable"


@pytest.mark.parametrize("fault", ["stop-mid-stream", "no-usage", "broken-json", "usage-null"])
def test_a_whole_reply_without_usage_costs_the_bound(caller: Caller, fault: str) -> None:
    assert caller.ask(f"Hi [[fault:{fault}]]").status == 200

    assert_bound(caller)


@STREAMED
@pytest.mark.parametrize(
    "fault",
    [
        "usage-zero", "usage-negative", "usage-huge", "usage-beyond-64-bit", "usage-strings", "usage-fractions",
        "usage-cached-above-input", "usage-a-list",
    ],
)  # fmt: skip
def test_usage_that_cannot_be_costs_the_bound_and_is_no_credit(
    caller: Caller, fault: str, stream: bool
) -> None:
    assert caller.ask(f"Hi [[fault:{fault}]]", stream=stream).status == 200

    assert_bound(caller)


@pytest.mark.parametrize("fault", ["usage-zero", "usage-huge"])
def test_usage_that_cannot_be_raises_an_alarm(caller: Caller, fault: str) -> None:
    before = alarms(caller.server, "implausible_usage")

    caller.ask(f"Hi [[fault:{fault}]]")

    assert_bound(caller)
    assert alarms(caller.server, "implausible_usage") == before + 1
    assert f"ALARM: implausible_usage: {caller.row()['id']}" in caller.server.log.read_text()


# ── our own deadline ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_slow_upstream_is_read_on_and_charged_its_usage(caller: Caller) -> None:
    answer = caller.ask("Hi [[fault:slow-first-byte]]")

    assert (answer.status, answer.code) == (504, "upstream_timeout")
    assert rows_of(caller.server, member=caller.member)[0]["status"] == "reserved"
    assert caller.limits()["9 concurrent requests"] == (0, 1)
    assert assert_exact(caller)["http_status"] == 504


def test_usage_that_comes_after_our_own_deadline_is_charged(caller: Caller) -> None:
    """The client's stream has ended with an error; the upstream goes on, and tells at last what it made."""
    answer = caller.ask("Hi [[fault:hang-mid-stream]]", stream=True)

    assert (answer.status, answer.code) == (200, "upstream_timeout")
    assert caller.limits()["9 concurrent requests"] == (0, 1)
    call("POST", caller.mock.url.removesuffix("/v1") + "/_mock/release")
    assert_exact(caller)


@pytest.mark.parametrize("fault", ["hang", "hang-mid-stream"])
def test_an_upstream_that_hangs_costs_the_bound_at_the_last_deadline(
    caller: Caller, fault: str
) -> None:
    began_s = time.monotonic()
    answer = caller.ask(f"Hi [[fault:{fault}]]", stream=fault != "hang")

    assert answer.code == "upstream_timeout"
    assert time.monotonic() - began_s < WHOLE_S - 1  # the client is told long before
    row = assert_bound(caller)
    assert row["error"] == "deadline"
    call("POST", caller.mock.url.removesuffix("/v1") + "/_mock/release")


# ── the client left ──────────────────────────────────────────────────────────────────────────────────────────────

SLOW = "Hi [[tokens:40]] [[speed:40]]"


@STREAMED
def test_a_client_that_left_is_charged_what_was_used(caller: Caller, stream: bool) -> None:
    if stream:
        link, _ = caller.start(SLOW)
    else:
        url = urlsplit(caller.server.url)
        link = http.client.HTTPConnection(url.hostname or "", url.port)
        messages = [
            {"role": "user", "content": "Hi [[fault:slow-first-byte]] [[first-token-ms:500]]"}
        ]
        body = json.dumps({"model": MODEL, "messages": messages, "max_tokens": 100})
        link.request("POST", CHAT, body, {"authorization": f"Bearer {caller.key}"})
        sent = caller.mock.requests
        until(lambda: any((one["body"] or {}).get("messages") == messages for one in sent()))
    link.close()

    time.sleep(0.1)
    assert caller.limits()["9 concurrent requests"] == (0, 1)  # it keeps its place
    assert_exact(caller, "client_left")


def test_with_cancel_the_upstream_is_cut_off_at_once(server: Server, mock: Mock) -> None:
    caller = new_caller(server, mock, on_disconnect="cancel")
    link, _ = caller.start("Hi [[tokens:90]] [[speed:20]]")
    left_s = time.monotonic()
    link.close()

    row = assert_bound(caller, "client_left")
    assert time.monotonic() - left_s < 1
    until(lambda: (billed := caller.billed(row)) is not None and billed.ended == "left")
    billed = caller.billed(row)
    assert billed is not None
    assert billed.output_tokens < 90


def test_without_a_place_to_drain_it_is_as_with_cancel(server: Server, mock: Mock) -> None:
    """One place per member, here."""
    caller = new_caller(server, mock)
    links = [caller.start("Hi [[tokens:60]] [[speed:30]]")[0] for _ in range(2)]
    for link in links:
        link.close()
        time.sleep(0.2)

    rows = caller.rows(2)

    flags = sorted(sorted(row["flags"]) for row in rows)
    assert flags == [["client_left"], ["client_left", "unconfirmed"]]
    assert caller.spent() == sum(nano(row["cost_usd"]) for row in rows)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Mock]]:
    """A server with one place for all that are read on without a client, and for two seconds only."""
    mock = start_mock(tmp_path_factory.mktemp("narrow-upstream"))
    server = start_server(
        tmp_path_factory.mktemp("narrow"),
        mock.url,
        TUCKSHOP_EDGE_DRAINED_MAX="1",
        TUCKSHOP_EDGE_DRAINED_TIMEOUT_S="2",
    )
    yield server, mock
    assert_books_hold(server, mock)
    assert server.stop() == 0, server.log.read_text()
    mock.stop()


def test_the_places_to_drain_are_for_all_members_together(narrow: tuple[Server, Mock]) -> None:
    first, second = new_caller(*narrow), new_caller(*narrow)
    for caller in (first, second):
        caller.start("Hi [[tokens:30]] [[speed:30]]")[0].close()
        time.sleep(0.2)

    assert_exact(first, "client_left")
    assert_bound(second, "client_left")


def test_a_drain_is_read_on_for_so_long_and_no_longer(narrow: tuple[Server, Mock]) -> None:
    caller = new_caller(*narrow)
    link, _ = caller.start("Hi [[tokens:99]] [[speed:15]]")
    left_s = time.monotonic()
    link.close()

    row = assert_bound(caller, "client_left")
    assert 1.5 < time.monotonic() - left_s < 4
    assert row["error"] == "drained for too long"
    until(lambda: (billed := caller.billed(row)) is not None and billed.ended == "left")


def test_a_client_that_leaves_while_it_waits_owes_nothing(server: Server, mock: Mock) -> None:
    caller = new_caller(server, mock, each=["$1/month", "1 concurrent requests"], patience_s=20)
    running, _ = caller.start(SLOW)
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname or "", url.port or 0)) as waiting:
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]})
        waiting.sendall(
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {caller.key}\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(0.2)
    assert caller.ask("Hi").status == 200  # next in the queue, not behind one that is gone
    running.close()

    rows = caller.rows(2)
    assert [row["status"] for row in rows] == ["settled", "settled"]


# ── the key was paused or revoked ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("what", "verb", "code"),
    [
        ("keys", "pause", "key_paused"),
        ("keys", "revoke", "key_revoked"),
        ("keys", "archive", "key_archived"),
        ("members", "pause", "member_paused"),
        ("groups", "pause", "group_paused"),
    ],
)
def test_a_key_that_is_stopped_ends_the_stream_and_pays_for_all_of_it(
    caller: Caller, what: str, verb: str, code: str
) -> None:
    """K3: within a second, whether the key itself is stopped, its member or its group; then as *drain*."""
    (key,) = caller.server.made("GET", f"/members/{caller.member}/keys")["data"]
    member = caller.server.made("GET", f"/members/{caller.member}")
    stopped = {"keys": key["id"], "members": caller.member, "groups": member["group"]}[what]
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(caller.ask(SLOW, stream=True)))
    thread.start()
    until(lambda: caller.limits()["9 concurrent requests"] == (0, 1))
    time.sleep(0.2)
    caller.server.made("POST", f"/{what}/{stopped}/{verb}")
    stopped_s = time.monotonic()
    thread.join()

    assert time.monotonic() - stopped_s < 1
    assert (answers[0].status, answers[0].code) == (200, code)
    assert_exact(caller)
