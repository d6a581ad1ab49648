"""A reply that goes on only when it was checked: who gets what, and what it costs (section 12, M5, M6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.gateway.relay_kit import (
    COST,
    DONE,
    SSE,
    USAGE,
    USAGE_CHUNK,
    Counter,
    FakeExchange,
    chunk,
    reply,
)
from tuckshop.domain.errors import (
    KeyRevokedError,
    ModerationBlockedError,
    RefusalError,
    ServerBusyError,
)
from tuckshop.domain.reservation import Settlement
from tuckshop.gateway.moderation import gate
from tuckshop.gateway.moderation.held_relay import HeldRelay
from tuckshop.protocols.openai.moderations import OVERLAP_CHARACTERS

BLOCKED = ModerationBlockedError(("violence",), is_answer=True)
BUSY = ServerBusyError("the check does not answer", retryable=False)


class Check:
    """Takes as long as the test says, and blocks what holds BAD."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.goes_on = asyncio.Event()
        self.is_broken = False
        self.on_unchecked: Callable[[], None] = lambda: None
        self.unreadables: RefusalError | None = BUSY
        self.passes = 0

    async def judge(self, texts: list[str]) -> RefusalError | None:
        self.asked.append(texts)
        await self.goes_on.wait()
        if self.is_broken:
            raise RuntimeError("a bug")
        return BLOCKED if any("BAD" in text for text in texts) else None

    def unreadable(self) -> RefusalError | None:
        if self.unreadables is None:
            self.on_unchecked()
        return self.unreadables

    def passed(self) -> None:
        self.passes += 1


class Held(Counter):
    """A relay at work whose answers are checked."""

    def __init__(self, **how: Any) -> None:
        self.check = Check()
        self.tasks: set[asyncio.Task[Any]] = set()
        super().__init__(**how)

    def _relay(self, **parts: Any) -> HeldRelay:
        return HeldRelay(**parts, check=self.check, tasks=self.tasks)  # type: ignore[arg-type]  # one in memory

    async def let(self) -> None:
        """Questions are answered from now on."""
        self.check.goes_on.set()
        await settle()

    def stop(self) -> None:
        """They wait again."""
        self.check.goes_on.clear()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 5))


def code_of(exchange: FakeExchange) -> str:
    last = exchange.received.strip().split(b"\n\n")[-1].removeprefix(b"data: ")
    code: str = json.loads(last)["error"]["code"]
    return code


GOOD = "x" * gate.FIRST_CHARACTERS


def streaming(*pieces: bytes, **how: Any) -> Held:
    held = Held(stream=True, **how)
    held.head(kind=SSE)
    held.data(*pieces)
    return held


def test_nothing_that_was_not_judged_reaches_the_client() -> None:
    """Section 12: hold pieces back until checked; never send first."""

    async def main() -> None:
        held = streaming(chunk(""), chunk("He"), chunk("llo"))
        assert held.exchange.status == 200
        assert b"llo" not in held.exchange.received
        held.data(chunk(GOOD))
        await settle()
        assert held.check.asked == [["Hello" + GOOD]]
        assert GOOD.encode() not in held.exchange.received

        held.data(chunk("more"))
        await held.let()
        assert GOOD.encode() in held.exchange.received
        assert b"more" not in held.exchange.received

        held.data(USAGE_CHUNK, DONE)
        held.end()
        assert held.settled.charged.cost_nano == COST  # while the rest is held
        await settle()
        assert held.check.asked[1] == [("Hello" + GOOD + "more")[-OVERLAP_CHARACTERS - 4 :]]
        assert held.exchange.is_over
        assert held.exchange.received.endswith(chunk("more") + DONE)
        assert (held.done, held.check.passes) == (1, 1)

    run(main)


def test_a_flagged_window_ends_the_stream_and_the_upstream_is_read_on_to_its_usage() -> None:
    """M5, M6: the client reads why; what was made is charged."""

    async def main() -> None:
        held = streaming(chunk("BAD" + GOOD))
        await held.let()

        assert held.exchange.is_over
        assert code_of(held.exchange) == "moderation_blocked"
        assert b"BAD" not in held.exchange.received
        assert held.ledger.resolutions == []
        held.data(chunk("even more"), USAGE_CHUNK, DONE)
        held.end()

        assert held.settled.charged.cost_nano == COST
        assert b"even more" not in held.exchange.received
        assert held.done == 1
        await settle()
        assert len(held.check.asked) == 1

    run(main)


def test_a_window_that_is_flagged_after_the_upstream_has_ended_ends_the_stream_all_the_same() -> (
    None
):
    async def main() -> None:
        held = streaming(chunk("BAD"), USAGE_CHUNK, DONE)
        held.end()
        assert held.settled.charged.cost_nano == COST
        assert (held.exchange.is_over, held.done) == (False, 0)

        await held.let()

        assert code_of(held.exchange) == "moderation_blocked"
        assert (held.exchange.is_over, held.done) == (True, 1)
        assert len(held.ledger.resolutions) == 1

    run(main)


def test_without_usage_the_bound_is_charged_of_a_blocked_stream() -> None:
    """M9."""

    async def main() -> None:
        held = streaming(chunk("BAD" + GOOD))
        await held.let()
        held.fail()

        assert held.is_bound
        assert held.done == 1

    run(main)


@pytest.mark.parametrize(("text", "status"), [("Hello.", 200), ("BAD", 400)])
def test_a_whole_reply_waits_for_its_verdict_and_is_charged_either_way(
    text: str, status: int
) -> None:
    async def main() -> None:
        held = Held()
        held.head()
        held.data(reply(choices=[{"index": 0, "message": {"role": "assistant", "content": text}}]))
        held.end()
        assert held.exchange.status == 0
        assert held.settled.charged.cost_nano == COST

        await held.let()

        assert held.exchange.status == status
        assert (b"BAD" in held.exchange.received) is False
        assert (held.exchange.is_over, held.done) == (True, 1)

    run(main)


def test_a_client_that_leaves_while_text_is_held_changes_nothing_of_the_charge() -> None:
    """M5, M6: before and after the upstream has ended."""

    async def main() -> None:
        early, late = streaming(chunk(GOOD)), streaming(chunk("Hi"), USAGE_CHUNK, DONE)
        late.end()
        await settle()
        for held in (early, late):
            held.exchange.leave()
        assert (early.done, late.done) == (0, 1)
        early.data(USAGE_CHUNK, DONE)
        early.end()

        for held in (early, late):
            await held.let()
            assert held.settled.charged.cost_nano == COST
            assert held.done == 1
            assert held.tasks == set()
            assert b"Hi" not in held.exchange.received
        assert early.settled.flags == {"client_left"}
        assert late.settled.flags == frozenset()

    run(main)


def test_a_key_that_is_revoked_while_text_is_held_gets_none_of_it() -> None:
    """K3: whether the upstream still answers or has ended."""

    async def main() -> None:
        early, late = streaming(chunk(GOOD)), streaming(chunk("Hi"), USAGE_CHUNK, DONE)
        late.end()
        await settle()
        for held in (early, late):
            held.relay.cut(KeyRevokedError())
            assert held.exchange.is_over
            assert code_of(held.exchange) == "key_revoked"
            await held.let()
            assert b"Hi" not in held.exchange.received
            assert GOOD.encode() not in held.exchange.received
        assert (early.done, late.done) == (0, 1)
        early.end()
        assert early.done == 1

    run(main)


def test_at_a_stop_what_is_held_ends_with_it() -> None:
    async def main() -> None:
        early, late = streaming(chunk(GOOD)), streaming(chunk("Hi"), USAGE_CHUNK, DONE)
        late.end()
        for held in (early, late):
            held.relay.cancel("shutdown")
            assert code_of(held.exchange) == "server_busy"
            assert held.done == 1
            assert len(held.ledger.resolutions) == 1

    run(main)


def test_what_cannot_be_read_does_not_go_on() -> None:
    async def main() -> None:
        held = streaming(chunk("Hi"), b"data: {nonsense\n\n")
        assert code_of(held.exchange) == "server_busy"
        assert b"nonsense" not in held.exchange.received
        held.end()
        assert held.is_bound

    run(main)


def test_what_cannot_be_read_goes_on_in_its_turn_where_the_policy_opens_it() -> None:
    async def main() -> None:
        held = Held(stream=True)
        held.check.unreadables = None
        held.head(kind=SSE)
        held.data(chunk("Hi" + GOOD))
        await settle()
        held.data(b"data: {nonsense\n\n", chunk("you"))
        held.data(USAGE_CHUNK, DONE)
        held.end()
        assert held.exchange.received == b""

        await held.let()
        assert held.exchange.received == (
            chunk("Hi" + GOOD) + b"data: {nonsense\n\n" + chunk("you") + DONE
        )
        assert held.settled.flags == {"unchecked"}

        blocked = Held(stream=True)
        blocked.check.unreadables = None
        blocked.head(kind=SSE)
        blocked.data(b"data: {nonsense\n\n", chunk("BAD"), USAGE_CHUNK, DONE)
        blocked.end()
        await blocked.let()
        assert code_of(blocked.exchange) == "moderation_blocked"

        whole = Held()
        whole.check.unreadables = None
        whole.head()
        whole.data(b"no JSON")
        whole.end()
        await whole.let()
        assert whole.exchange.received == b"no JSON"

    run(main)


def test_an_event_too_long_to_be_read_does_not_go_on() -> None:
    async def main() -> None:
        held = streaming(chunk(""), b"data: " + b"x" * (1 << 20), b"yyy")
        assert code_of(held.exchange) == "server_busy"
        held.data(b"\n\n")
        held.end()
        assert held.is_bound
        assert b"x" not in held.exchange.received.replace(b"x-", b"").replace(b"ex", b"")[:9]

    run(main)


def test_a_whole_reply_too_long_to_be_held_does_not_go_on() -> None:
    async def main() -> None:
        held = Held()
        held.head()
        body = reply(id="x" * 200_000)
        held.data(body[:150_000], body[150_000:])
        assert held.exchange.status == 503
        held.end()
        assert held.settled.charged.cost_nano == COST

        opened = Held()
        opened.check.unreadables = None
        opened.head()
        opened.data(body[:150_000], body[150_000:])
        opened.end()
        assert opened.exchange.received == body
        assert opened.done == 1

    run(main)


def test_errors_of_the_upstream_go_on_as_ever() -> None:
    async def main() -> None:
        held = Held()
        held.head(status=400)
        held.data(
            json.dumps({"error": {"message": "no", "type": "invalid_request_error"}}).encode()
        )
        held.end()
        assert held.exchange.status == 400
        assert (held.done, held.check.asked) == (1, [])

        broken = streaming(chunk("Hi"))
        broken.fail()
        assert code_of(broken.exchange) == "upstream_unavailable"
        assert b"Hi" not in broken.exchange.received
        assert broken.done == 1

    run(main)


def test_a_fault_of_the_check_itself_lets_nothing_through() -> None:
    async def main() -> None:
        held = streaming(chunk("Hi"), USAGE_CHUNK, DONE)
        held.check.is_broken = True
        held.end()
        await held.let()
        assert code_of(held.exchange) == "server_busy"
        assert held.done == 1

    run(main)


def test_the_longer_a_stream_the_fewer_questions() -> None:
    async def main() -> None:
        held = streaming()
        await held.let()
        for _ in range(4_000):
            held.data(chunk("word "))
            await asyncio.sleep(0)
        held.data(USAGE_CHUNK, DONE)
        held.end()
        await settle()
        assert held.exchange.is_over
        assert 5 <= len(held.check.asked) <= 12

    run(main)


def test_text_that_nothing_follows_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HOLD_S", 0.01)

    async def main() -> None:
        held = streaming(chunk("Hi"))
        await held.let()
        assert held.check.asked == []
        await asyncio.sleep(0.05)
        assert chunk("Hi") in held.exchange.received

        held.stop()
        held.data(chunk("you"))
        await asyncio.sleep(0.05)
        held.data(chunk("there"))
        await asyncio.sleep(0.05)
        await held.let()
        assert held.exchange.received.endswith(chunk("you") + chunk("there"))

    run(main)


def test_an_upstream_that_is_faster_than_the_check_waits() -> None:
    """E6."""

    async def main() -> None:
        held = streaming(chunk(""))
        held.data(chunk("x" * gate.HELD_MAX_BYTES))
        assert held.upstream.pauses == 1
        await held.let()
        assert held.upstream.resumes == 1

    run(main)


def test_no_piece_is_lost_or_turned_round_however_it_is_cut() -> None:
    async def main() -> None:
        pieces = [chunk(f"{n} ") for n in range(500)] + [b": ping\n\n", USAGE_CHUNK, DONE]
        plain = Counter(stream=True, stream_options={"include_usage": True})
        held = Held(stream=True, stream_options={"include_usage": True})
        await held.let()
        for one in (plain, held):
            one.head(kind=SSE)
            for piece in pieces:
                one.data(piece[:7], piece[7:])
                await asyncio.sleep(0)
            one.end()
        await settle()
        assert held.exchange.received == plain.exchange.received
        assert isinstance(held.resolution, Settlement)
        assert USAGE["total_tokens"] == 14

    run(main)
