"""What may be kept of a call is what its client got, or would have got, and its end is told once."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.support.keeping_kit import CHAT, holder
from tests.unit.gateway.relay_kit import (
    DONE,
    SSE,
    STREAM,
    USAGE_CHUNK,
    WHOLE_MAX_BYTES,
    Counter,
    FakeTap,
    chunk,
    reply,
)
from tests.unit.gateway.test_dispatch import Door
from tuckshop.domain.errors import KeyPausedError
from tuckshop.domain.records import Holder
from tuckshop.gateway import gateway as gateway_module

STRIPPED = STREAM.replace(USAGE_CHUNK, b"")


@pytest.mark.parametrize("coding", [None, b"gzip"])
@pytest.mark.parametrize(
    ("sent", "kind", "heard", "is_stream"),
    [
        (STREAM, SSE, STRIPPED, True),
        (reply(), b"application/json", reply(), False),
        (b"x" * (2 * WHOLE_MAX_BYTES), b"application/json", b"x" * (2 * WHOLE_MAX_BYTES), False),
        (chunk("cut")[:-2], SSE, chunk("cut")[:-2], True),
    ],
)
def test_a_reply_is_heard_as_the_client_gets_it(
    sent: bytes, kind: bytes, heard: bytes, is_stream: bool, coding: bytes | None
) -> None:
    tap = FakeTap()
    counter = Counter(stream=is_stream, tap=tap)
    counter.upstream.content_coding = coding
    coded = gzip.compress(sent) if coding else sent
    counter.head(kind=kind)
    counter.data(*(coded[start : start + 1_000] for start in range(0, len(coded), 1_000)))
    counter.end()

    assert tap.heard == heard == counter.exchange.received
    assert tap.ended == [(200, is_stream)]


def test_who_left_does_not_matter() -> None:
    tap = FakeTap()
    counter = Counter(stream=True, tap=tap)
    counter.head(kind=SSE)
    counter.data(chunk("a"))
    counter.exchange.leave()
    counter.data(chunk("b"), DONE)
    counter.end()

    assert tap.heard == chunk("a") + chunk("b") + DONE
    assert tap.ended == [(200, True)]


def test_an_error_of_the_upstream_is_heard_without_the_account() -> None:
    tap = FakeTap()
    counter = Counter(tap=tap)
    counter.head(400)
    counter.data(b'{"error":{"message":"no, org-abcdefghij0123456789"}}')
    counter.end()

    assert tap.heard == counter.exchange.received
    assert b"org-abc" not in tap.heard
    assert tap.ended == [(400, False)]


@pytest.mark.parametrize("how", ["fail", "cancel", "cut", "broken"])
def test_however_it_ends_the_tap_hears_of_it_once(how: str) -> None:
    tap = FakeTap()
    counter = Counter(stream=True, tap=tap)
    match how:
        case "fail":
            counter.fail(written=False)
        case "cancel":
            counter.head(kind=SSE)
            counter.relay.cancel("shutdown")
            counter.relay.cancel("shutdown")
        case "cut":
            counter.head(kind=SSE)
            counter.relay.cut(KeyPausedError())
            counter.data(DONE)
            counter.end()
        case _:
            counter.upstream.content_coding = b"no coding"
            counter.head(kind=SSE)

    assert len(tap.ended) == 1
    assert counter.done == 1


class Log:
    """A body log that writes down what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, bytes]] = []
        self.refusals: list[str] = []
        self.tap = FakeTap()

    def begin(self, request_id: str, holder: Holder, endpoint: Any, request: bytes) -> FakeTap:
        self.begun.append((request_id, request))
        return self.tap

    def refused(self, request_id: str, holder: Holder, endpoint: Any, request: bytes) -> None:
        self.refusals.append(request_id)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(gateway_module, "NoBodyLog", lambda: log)
    return log


def test_the_request_is_the_one_that_is_sent(log: Log) -> None:
    door = Door()
    door.holder = holder("all")

    door.handle(CHAT)

    ((request_id, request),) = log.begun
    assert request_id == "req_1"
    assert b'"safety_identifier":"tuck-x"' in request  # as it was sent, not as it came
    assert not log.tap.ended


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("a mistake")])
def test_what_cannot_be_sent_ends_its_tap(log: Log, error: Exception) -> None:
    door = Door(error=error)
    door.holder = holder("all")

    door.handle(CHAT)

    assert log.tap.ended == [(None, False)]
    assert log.refusals == ["req_1"]


def test_of_a_group_that_keeps_nothing_the_log_is_not_even_asked(log: Log) -> None:
    """P1"""
    for error in (None, ValueError("no")):
        door = Door(error=error)
        door.holder = holder("off")
        door.handle(CHAT)

    assert (log.begun, log.refusals) == ([], [])
