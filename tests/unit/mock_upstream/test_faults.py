"""Each scripted fault is what its sentence says, seen on a bare socket."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from contextlib import suppress
from typing import Any

import pytest

from tests.unit.mock_upstream.conftest import Mock, Raw
from tuckshop.mock_upstream.faults import FAULTS


def chat(mock: Mock, fault: str, *, stream: bool = True, prompt: str = "", **more: Any) -> Raw:
    """A chat call that meets *fault*, with an answer of eight tokens."""
    raw = mock.raw()
    given = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    raw.chat(f"[[tokens:8]] [[fault:{fault}]] {prompt}", **(given | more))
    return raw


def read(raw: Raw) -> tuple[int, bytes, bytes]:
    """(status, head, body) of a reply that keeps its framing; chunks are undone."""
    head = raw.read_until(b"\r\n\r\n")
    head, _, rest = head.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head:
        while not rest.endswith(b"0\r\n\r\n"):
            rest += raw.socket.recv(1 << 20)
        body = b""
        while rest != b"0\r\n\r\n":
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    elif b"content-length: " in head:
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(rest) < length:
            rest += raw.socket.recv(1 << 20)
        body = rest
    else:
        body = rest + raw.read_all()
    raw.close()
    return int(head.split()[1]), head, body


def events(body: bytes) -> list[Any]:
    """The JSON of each event, [DONE] as text."""
    seen: list[Any] = []
    for event in body.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [
            line.removeprefix("data: ") for line in event.split("\n") if line.startswith("data")
        ]
        if lines:
            text = "\n".join(lines)
            seen.append(text if text == "[DONE]" else json.loads(text))
    return seen


def said(body: bytes) -> str:
    """The text of a whole stream."""
    seen = events(body)
    assert seen[-1] == "[DONE]"
    choices = [choice for event in seen[:-1] for choice in event["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def billed(mock: Mock) -> tuple[int, str | None]:
    """(output tokens, why it ended) of the only call on the bill, once it is closed."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = mock.bill()
        if lines and lines[-1]["event"] == "end":
            return lines[-1]["output_tokens"], lines[-1]["why"]
        time.sleep(0.005)
    raise AssertionError("the bill was not closed")


class TestConnection:
    def test_refuse_after_headers_closes_without_a_byte_and_without_a_bill(
        self, mock: Mock
    ) -> None:
        assert chat(mock, "refuse-after-headers").read_all() == b""
        assert mock.bill() == []

    def test_refuse_after_headers_when_queued_does_not_wait_for_the_body(self, mock: Mock) -> None:
        mock.control("POST", "fault?name=refuse-after-headers")
        raw = mock.raw()
        raw.socket.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
        )

        assert raw.read_all() == b""

    def test_reset_before_head_is_a_reset_and_billed(self, mock: Mock) -> None:
        raw = chat(mock, "reset-before-head")

        with pytest.raises(ConnectionResetError):
            raw.read_all()
        assert raw.seen == b""
        assert billed(mock) == (8, "cut")

    def test_reset_after_head_sends_the_head_alone(self, mock: Mock) -> None:
        raw = chat(mock, "reset-after-head")

        with pytest.raises(ConnectionResetError):
            raw.read_all()
        assert raw.seen.startswith(b"HTTP/1.1 200 OK\r\n")
        assert raw.seen.endswith(b"\r\n\r\n")
        assert billed(mock)[0] == 8

    @pytest.mark.parametrize("stream", [True, False])
    def test_reset_mid_stream_resets_with_part_of_the_reply_sent(
        self, mock: Mock, stream: bool
    ) -> None:
        raw = chat(mock, "reset-mid-stream", stream=stream)

        with pytest.raises(ConnectionResetError):
            raw.read_all()
        assert b"\r\n\r\n" in raw.seen
        assert (b'"content":"' in raw.seen) is True
        assert b"[DONE]" not in raw.seen
        assert billed(mock)[0] == 8

    def test_close_mid_stream_leaves_the_framing_unfinished(self, mock: Mock) -> None:
        data = chat(mock, "close-mid-stream").read_all()

        assert b'"content":"' in data
        assert not data.endswith(b"0\r\n\r\n")

    def test_stop_mid_stream_ends_cleanly_without_usage(self, mock: Mock) -> None:
        status, _, body = read(chat(mock, "stop-mid-stream"))

        assert status == 200
        seen = events(body)
        assert 2 <= len(seen) < 10
        assert all(event["usage"] is None for event in seen)
        _, _, plain = read(chat(mock, "stop-mid-stream", stream=False))
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads(plain)

    def test_close_after_reply_breaks_its_promise_to_keep_the_connection(self, mock: Mock) -> None:
        for stream in (True, False):
            data = chat(mock, "close-after-reply", stream=stream).read_all()
            assert b"connection: keep-alive" in data

    def test_stray_reply_follows_the_first(self, mock: Mock) -> None:
        for stream in (True, False):
            raw = chat(mock, "stray-reply", stream=stream)
            assert raw.read_until(b'{"stray": "true"}').count(b"HTTP/1.1 200") == 2


class TestTime:
    @pytest.mark.parametrize("fault", ["hang", "hang-after-head", "hang-mid-stream"])
    @pytest.mark.parametrize("stream", [True, False])
    def test_a_hang_lasts_until_it_is_released(self, mock: Mock, fault: str, stream: bool) -> None:
        raw = chat(mock, fault, stream=stream)
        seen = raw.read_until_silent(0.15)
        assert (b"HTTP/1.1 200" in seen) == (fault != "hang")
        assert (b'"choices"' in seen) == (fault == "hang-mid-stream")
        assert mock.state()["held"] == 1
        assert mock.bill()[0]["event"] == "begin"

        assert mock.control("POST", "release") == {"released": 1}

        end = b"0\r\n\r\n" if stream else b'"system_fingerprint":"fp_'
        raw.read_until(end)
        assert billed(mock) == (8, "done")

    def test_a_client_that_leaves_ends_a_hang(self, mock: Mock) -> None:
        raw = chat(mock, "hang")
        while mock.state()["held"] != 1:
            time.sleep(0.005)
        raw.close()

        assert billed(mock)[0] == 8
        assert mock.state()["open"] == 0

    def test_drip_sends_small_pieces_apart(self, mock: Mock) -> None:
        begun = time.monotonic()
        raw = chat(mock, "drip", stream=False)

        sizes = [len(raw.socket.recv(65536)) for _ in range(20)]
        assert time.monotonic() - begun > 0.15
        assert max(sizes) <= 16 * 8

    def test_slow_first_byte_takes_its_time(self, mock: Mock) -> None:
        begun = time.monotonic()
        read(chat(mock, "slow-first-byte", prompt="[[first-token-ms:100]]"))
        assert 0.1 <= time.monotonic() - begun < 2


class TestUsage:
    def usage(self, mock: Mock, fault: str) -> tuple[Any, Any]:
        """(of a stream, of a plain reply)"""
        seen = events(read(chat(mock, fault))[2])
        plain = json.loads(read(chat(mock, fault, stream=False))[2])
        assert seen[-1] == "[DONE]"
        return seen[-2]["usage"], plain["usage"]

    def test_no_usage_means_none_at_all(self, mock: Mock) -> None:
        assert all("usage" not in event for event in events(read(chat(mock, "no-usage"))[2])[:-1])
        assert "usage" not in json.loads(read(chat(mock, "no-usage", stream=False))[2])

    @pytest.mark.parametrize(
        ("fault", "value"),
        [
            ("usage-zero", 0),
            ("usage-negative", -8),
            ("usage-huge", 10**15),
            ("usage-beyond-64-bit", 10**30),
            ("usage-strings", "8"),
            ("usage-fractions", 8.5),
            ("usage-no-details", 8),
        ],
    )
    def test_odd_numbers(self, mock: Mock, fault: str, value: object) -> None:
        for usage in self.usage(mock, fault):
            assert usage["completion_tokens"] == value

    def test_odd_shapes(self, mock: Mock) -> None:
        assert self.usage(mock, "usage-null") == (None, None)
        assert all(isinstance(usage, list) for usage in self.usage(mock, "usage-a-list"))
        for usage in self.usage(mock, "usage-cached-above-input"):
            assert usage["prompt_tokens_details"]["cached_tokens"] > usage["prompt_tokens"]
        for usage in self.usage(mock, "usage-no-details"):
            assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens"}

    def test_usage_in_every_chunk_is_cumulative(self, mock: Mock) -> None:
        seen = events(read(chat(mock, "usage-in-every-chunk"))[2])[:-1]

        counts = [event["usage"]["completion_tokens"] for event in seen]
        assert counts == sorted(counts)
        assert (counts[0], counts[-1]) == (0, 8)
        assert all(event["choices"] for event in seen)

    def test_usage_with_finish_stands_in_the_last_content_chunk(self, mock: Mock) -> None:
        seen = events(read(chat(mock, "usage-with-finish"))[2])[:-1]

        assert [event.get("usage") is not None for event in seen] == [False] * 9 + [True]
        assert seen[-1]["choices"][0]["finish_reason"] == "stop"


class TestText:
    def test_error_event_comes_in_the_middle_and_ends_the_stream(self, mock: Mock) -> None:
        seen = events(read(chat(mock, "error-event"))[2])

        assert set(seen[-1]["error"]) == {"message", "type", "param", "code"}
        assert all("choices" in event for event in seen[:-1])
        assert read(chat(mock, "error-event", stream=False))[0] == 500

    def test_broken_json_is_one_event_that_cannot_be_parsed(self, mock: Mock) -> None:
        texts = read(chat(mock, "broken-json", prompt="[[at:3]]"))[2].decode().split("\n\n")

        for index, text in enumerate(texts[:-2]):
            if index == 3:
                with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
                    json.loads(text.removeprefix("data: "))
            else:
                json.loads(text.removeprefix("data: "))
        plain = read(chat(mock, "broken-json", stream=False))[2]
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads(plain)

    def test_broken_framing(self, mock: Mock) -> None:
        assert b"\r\nxyz\r\n" in chat(mock, "broken-framing").read_until(b"[DONE]")
        data = chat(mock, "broken-framing", stream=False).read_all()
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"content-length: %d" % (len(body) + 64) in head

    def test_crlf_and_comments_and_many_lines_change_no_meaning(self, mock: Mock) -> None:
        healthy = said(read(chat(mock, "other-tier"))[2])
        crlf = read(chat(mock, "crlf"))[2]
        assert crlf.count(b"\r\n") == crlf.count(b"\n") > 20
        comments = read(chat(mock, "comments"))[2]
        assert comments.count(b": still here\n\n") == comments.count(b"data: ")
        many = read(chat(mock, "many-data-lines"))[2]
        assert many.count(b"data: ") > 100
        assert said(crlf) == said(comments) == said(many) == healthy

    def test_byte_by_byte_and_one_packet_say_the_same(self, mock: Mock) -> None:
        slow = chat(mock, "byte-by-byte")
        assert not slow.socket.recv(65536).endswith(b"0\r\n\r\n")  # however late we look
        slow.close()
        whole = events(read(chat(mock, "one-packet"))[2])
        split = events(read(chat(mock, "byte-by-byte"))[2])
        assert [e["choices"] for e in split[:-1]] == [e["choices"] for e in whole[:-1]]

    def test_one_packet_is_one_chunk(self, mock: Mock) -> None:
        data = chat(mock, "one-packet").read_until(b"0\r\n\r\n")
        _, _, chunks = data.partition(b"\r\n\r\n")
        size, _, rest = chunks.partition(b"\r\n")
        assert rest[int(size, 16) :] == b"\r\n0\r\n\r\n"

    @pytest.mark.parametrize(("fault", "size"), [("huge-event", 2 << 20), ("huge-reply", 16 << 20)])
    def test_huge_answers(self, mock: Mock, fault: str, size: int) -> None:
        for stream in (True, False):
            _, _, body = read(chat(mock, fault, stream=stream))
            assert size < len(body) < size + 8192

    def test_gzip_is_sent_though_nobody_asked(self, mock: Mock) -> None:
        status, head, body = read(chat(mock, "gzip"))
        assert status == 200
        assert b"content-encoding: gzip" in head
        assert events(zlib.decompress(body, wbits=31))[-1] == "[DONE]"
        assert json.loads(gzip.decompress(read(chat(mock, "gzip", stream=False))[2]))["choices"]

    def test_until_close_has_no_framing(self, mock: Mock) -> None:
        for stream in (True, False):
            _, head, body = read(chat(mock, "until-close", stream=stream))
            assert b"content-length" not in head
            assert b"transfer-encoding" not in head
            assert b"connection: close" in head
            assert b"[DONE]" in body if stream else json.loads(body)


class TestHead:
    def test_early_hints_come_first(self, mock: Mock) -> None:
        for stream in (True, False):
            raw = chat(mock, "early-hints", stream=stream)
            assert raw.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 Early Hints\r\n")
            raw.close()

    def test_huge_head(self, mock: Mock) -> None:
        assert len(read(chat(mock, "huge-head"))[1]) > 128 << 10

    def test_redirect_leads_to_a_place_that_counts(self, mock: Mock) -> None:
        status, head, _ = read(chat(mock, "redirect"))
        assert status == 307
        assert b"location: /_mock/redirected\r\n" in head
        assert mock.state()["redirected"] == 0
        mock.control("POST", "redirected")
        assert mock.state()["redirected"] == 1


class TestStatuses:
    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ("400", 400, "context_length_exceeded"),
            ("401", 401, "invalid_api_key"),
            ("403", 403, "unsupported_country_region_territory"),
            ("404", 404, "model_not_found"),
            ("429", 429, "rate_limit_exceeded"),
            ("429-long", 429, "rate_limit_exceeded"),
            ("insufficient-quota", 429, "insufficient_quota"),
            ("500", 500, None),
            ("503", 503, "server_is_overloaded"),
            ("529", 529, "server_is_overloaded"),
        ],
    )
    def test_an_error_of_its_own_is_json_and_unbilled(
        self, mock: Mock, fault: str, status: int, code: str | None
    ) -> None:
        seen, head, body = read(chat(mock, fault))

        assert seen == status
        error = json.loads(body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == code
        assert b"x-request-id: req_" in head
        assert (b"retry-after: " in head) == (fault in ("429", "429-long", "503"))
        assert mock.bill() == []

    @pytest.mark.parametrize(("fault", "status"), [("502", 502), ("504", 504), ("500-billed", 500)])
    def test_a_page_of_a_gateway_hides_an_answer_that_is_billed(
        self, mock: Mock, fault: str, status: int
    ) -> None:
        seen, head, body = read(chat(mock, fault))

        assert seen == status
        assert (b"content-type: text/html" in head) == body.startswith(b"<html>")
        assert billed(mock) == (8, "cut")


class TestSelf:
    def test_the_reply_may_say_another_model_or_tier(self, mock: Mock) -> None:
        for stream in (True, False):
            for fault, name, value in (
                ("other-model", "model", "gpt-4o-2024-08-06"),
                ("unknown-model", "model", "gpt-99-surprise"),
                ("other-tier", "service_tier", "priority"),
            ):
                body = read(chat(mock, fault, stream=stream))[2]
                reply = events(body)[0] if stream else json.loads(body)
                assert reply[name] == value
        assert mock.bill()[0]["served_model"] == "gpt-4o-2024-08-06"
        assert mock.bill()[-1]["service_tier"] == "priority"


class TestAsking:
    def test_a_fault_is_met_by_model_name_too(self, mock: Mock) -> None:
        raw = mock.raw()
        raw.chat("hello", model="fault-503")
        assert read(raw)[0] == 503

    def test_other_endpoints_meet_faults_as_well(self, mock: Mock) -> None:
        for path, model in (
            ("/v1/embeddings", "text-embedding-3-small"),
            ("/v1/moderations", "omni-moderation-latest"),
        ):
            raw = mock.raw()
            raw.send("POST", path, {"model": model, "input": "[[fault:503]]"})
            assert read(raw)[0] == 503
        raw = mock.raw()
        given = {"model": "text-embedding-3-small", "input": "[[fault:usage-beyond-64-bit]]"}
        raw.send("POST", "/v1/embeddings", given)
        assert json.loads(read(raw)[2])["usage"]["prompt_tokens"] == 10**30

    def test_a_fault_that_does_not_exist_is_refused(self, mock: Mock) -> None:
        assert read(chat(mock, "no-such-fault"))[0] == 400
        raw = mock.raw()
        raw.chat("hello", model="fault-no-such-fault")
        assert read(raw)[0] == 404

    def test_a_fault_may_be_meant_for_the_first_tries_only(self, mock: Mock) -> None:
        statuses = []
        for client_id in ("a", "a", "a", "b"):
            raw = mock.raw()
            messages = [{"role": "user", "content": "[[fault:503]] [[times:2]]"}]
            given = {"model": "gpt-4o-mini", "messages": messages}
            raw.send("POST", "/v1/chat/completions", given, f"x-client-request-id: {client_id}")
            statuses.append(read(raw)[0])
        assert statuses == [503, 503, 200, 503]

    def test_queued_faults_meet_the_next_requests(self, mock: Mock) -> None:
        assert mock.control("POST", "fault?name=503&times=2") == {"queued": ["503", "503"]}
        raws = [mock.raw() for _ in range(3)]
        statuses = []
        for raw in raws:
            raw.chat("hello")
            statuses.append(read(raw)[0])
        assert statuses == [503, 503, 200]
        assert "problem" in mock.control("POST", "fault?name=nonsense")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_upstream_survives_every_fault(mock: Mock, fault: str, stream: bool) -> None:
    """Whatever it plays, it serves the next request, and no call is left open."""
    raw = chat(mock, fault, stream=stream, prompt="[[first-token-ms:5]]")
    raw.socket.settimeout(0.05)
    patience = time.monotonic() + 0.1
    with suppress(TimeoutError, ConnectionResetError):
        while time.monotonic() < patience and raw.socket.recv(1 << 20):
            pass
    raw.close()
    healthy = mock.raw()
    healthy.chat("hello")
    assert read(healthy)[0] == 200
    deadline = time.monotonic() + 10
    while mock.state()["open"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
