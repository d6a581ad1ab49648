"""The bill, the record, the pace, and what is generated for whom."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.support.oracle import BilledCall, billed_nano_usd, read_bill
from tests.unit.mock_upstream.conftest import Mock, Raw

STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def calls(mock: Mock) -> list[BilledCall]:
    assert mock.options.bill is not None
    return read_bill(mock.options.bill)


def test_a_piece_is_billed_before_it_is_sent_and_not_earlier(mock: Mock) -> None:
    raw = mock.raw()
    raw.chat("[[lockstep:steps]] [[tokens:4]]", **STREAM)

    head = raw.read_until(b'"role":"assistant"')
    name = head.partition(b"x-request-id: ")[2].split(b"\r\n")[0].decode()
    assert [line["event"] for line in mock.bill()] == ["begin"]
    for sent in range(1, 5):
        assert mock.control("POST", f"next?id={name}") == {"released": 1}
        raw.read_until(b'"delta":{"content":')
        assert mock.bill()[-1]["output_tokens"] == sent
    mock.control("POST", "release?id=steps")
    raw.read_until(b"[DONE]\n\n\r\n0\r\n\r\n")
    assert mock.bill()[-1] | {"event": "end", "why": "done"} == mock.bill()[-1]


def test_lockstep_sends_no_event_before_its_turn(mock: Mock) -> None:
    raw = mock.raw()
    raw.chat("[[tokens:2]]", model="mock-lockstep", **STREAM)
    raw.read_until(b'"role":"assistant"')
    assert b"data" not in raw.read_until_silent(0.1)
    assert mock.state()["held"] == 1
    assert mock.control("POST", "next?id=nobody") == {"released": 0}


def test_the_bill_tells_what_the_usage_tells(mock: Mock) -> None:
    raw = mock.raw()
    messages = [{"role": "user", "content": "hello [[tokens:9]] [[cached:4]]"}]
    given = {"model": "gpt-4o-mini", "messages": messages}
    raw.send("POST", "/v1/chat/completions", given, "x-client-request-id: req_mine")
    usage = json.loads(raw.read_until(b'"fp_').partition(b'"usage":')[2].partition(b',"service')[0])

    (call,) = calls(mock)
    assert call.client_id == "req_mine"
    assert call.upstream_id.startswith("req_")
    assert (call.model, call.served_model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert call.input_tokens == usage["prompt_tokens"]
    assert call.cached_tokens == usage["prompt_tokens_details"]["cached_tokens"] == 4
    assert call.output_tokens == usage["completion_tokens"] == 9
    assert call.ended == "done"
    expected = (call.input_tokens - 4) * 150 + 4 * 75 + 9 * 600
    assert call.cost_nano_usd == expected
    assert mock.options.bill is not None
    assert billed_nano_usd(mock.options.bill) == {"req_mine": expected}


def test_embeddings_are_billed_by_input_and_moderations_not_at_all(mock: Mock) -> None:
    raw = mock.raw()
    raw.send("POST", "/v1/moderations", {"input": "hello"}, "connection: close")
    raw.read_all()
    raw = mock.raw()
    given = {"model": "text-embedding-3-small", "input": [[1, 2, 3], [4, 5]]}
    raw.send("POST", "/v1/embeddings", given, "connection: close")
    raw.read_all()

    (call,) = calls(mock)
    assert (call.input_tokens, call.output_tokens) == (5, 0)
    assert call.cost_nano_usd == 100


def test_a_refused_request_is_not_billed(mock: Mock) -> None:
    raw = mock.raw()
    raw.chat("hello", model="gpt-99")
    raw.read_until(b"model_not_found")
    assert calls(mock) == []


def test_a_stream_goes_on_a_little_for_a_client_that_has_left(
    start_mock: Callable[..., Mock],
) -> None:
    mock = start_mock(after_leave_tokens=5)
    raw = mock.raw()
    raw.chat("[[tokens:500]] [[speed:200]]", **STREAM)
    raw.read_until(b'"delta":{"content":')
    raw.close()

    wait_for(lambda: calls(mock)[0].ended)
    (call,) = calls(mock)
    assert call.ended == "left"
    assert 6 <= call.output_tokens < 60


def test_a_plain_reply_is_computed_to_its_end_for_nobody(mock: Mock) -> None:
    raw = mock.raw()
    raw.chat("[[tokens:50]] [[speed:500]]")
    wait_for(lambda: calls(mock) and calls(mock)[0].output_tokens > 3)
    assert calls(mock)[0].ended is None
    raw.close()

    wait_for(lambda: calls(mock)[0].ended)
    assert calls(mock)[0].output_tokens == 50


def test_a_client_that_does_not_read_is_generated_for_only_so_far(
    start_mock: Callable[..., Mock],
) -> None:
    mock = start_mock(run_ahead_tokens=10)
    raw = mock.raw()
    raw.chat("[[tokens:16000]]", **STREAM, max_tokens=16_000)
    wait_for(lambda: calls(mock) and calls(mock)[0].output_tokens)
    last = -1
    while (now := calls(mock)[0].output_tokens) != last:
        last = now
        time.sleep(0.2)
    assert 0 < last < 16_000

    rest = raw.read_until(b"[DONE]")
    assert rest.count(b'"delta":{"content":') == 16_000
    wait_for(lambda: calls(mock)[0].ended == "done")


def test_speed_and_first_delay_are_kept(mock: Mock) -> None:
    begun = time.monotonic()
    raw = mock.raw()
    raw.chat("[[tokens:20]] [[speed:100]] [[first-token-ms:100]]", **STREAM)
    raw.read_until(b"[DONE]")
    assert 0.28 <= time.monotonic() - begun < 1.5


def test_every_request_is_recorded_with_headers_and_body(mock: Mock) -> None:
    raw = mock.raw()
    raw.send("POST", "/v1/embeddings?x=1", {"input": "é"}, "X-Odd: yes", "connection: close")
    raw.read_all()

    assert mock.options.record is not None
    (line,) = [json.loads(text) for text in mock.options.record.read_bytes().splitlines()]
    assert (line["method"], line["target"]) == ("POST", "/v1/embeddings?x=1")
    assert ["X-Odd", "yes"] in line["headers"]
    assert ["authorization", "Bearer sk-any"] in line["headers"]
    assert json.loads(line["body"]) == {"input": "é"}


def test_state_counts_connections_and_requests(mock: Mock) -> None:
    raw = mock.raw()
    for _ in range(3):
        raw.chat("[[tokens:1]]")
        raw.read_until(b'"fp_')
    state = mock.state()
    assert state["requests"] == 3
    assert state["requests_by_path"] == {"POST /v1/chat/completions": 3}
    assert state["connections"] == 2
    assert state["statuses"] == {"200": 3}
    raw.close()


def test_pipelined_requests_are_answered_in_turn(mock: Mock) -> None:
    raw = mock.raw()
    raw.chat("[[echo:first]]", stream=True)
    raw.chat("[[echo:second]] [[speed:100]]", stream=True)
    raw.chat("[[echo:third!]]")

    data = raw.read_until(b"third!")
    assert data.index(b"firs") < data.index(b"seco") < data.index(b"third!")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/nonsense", 404),
        ("GET", "/", 404),
    ],
)
def test_paths_and_methods_that_are_not_served(
    mock: Mock, method: str, path: str, status: int
) -> None:
    raw = mock.raw()
    raw.send(method, path, {}, "connection: close")
    data = raw.read_all()
    assert int(data.split()[1]) == status
    assert set(json.loads(data.partition(b"\r\n\r\n")[2])["error"]) == {
        "message",
        "type",
        "param",
        "code",
    }


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model": NaN}', b'{"model": "\\ud800"}', b"\xff"]
)
def test_a_body_that_is_no_object_is_refused(mock: Mock, body: bytes) -> None:
    raw = mock.raw()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n"
    raw.socket.sendall(head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    assert raw.read_until(b'"code"').startswith(b"HTTP/1.1 400 ")


def test_without_a_bearer_nobody_is_let_in(mock: Mock) -> None:
    raw = mock.raw()
    raw.socket.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    assert raw.read_until(b"API key").startswith(b"HTTP/1.1 401 ")


def test_a_killed_upstream_loses_nothing_of_its_bill(tmp_path: Path) -> None:
    bill = tmp_path / "bill.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "tuckshop.mock_upstream", "--port", "0", "--bill", str(bill)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        assert line.endswith("/v1\n")
        with closing(Raw(int(line.rpartition(":")[2].partition("/")[0]))) as raw:
            raw.chat("[[tokens:400]] [[speed:200]]", **STREAM)
            seen = b""
            while seen.count(b'"delta":{"content":') < 10:
                seen += raw.socket.recv(65536)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()

    (call,) = read_bill(bill)
    assert call.ended is None
    assert call.output_tokens >= seen.count(b'"delta":{"content":') - 1


def test_sigterm_ends_it_with_status_zero(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tuckshop.mock_upstream", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2].partition("/")[0])
    with closing(Raw(port)) as raw:
        raw.chat("[[fault:hang]]")
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()
        with suppress(ConnectionResetError):  # it may not have read the request
            assert raw.read_all() == b""
