"""What the port `Ledger` promises, once per implementation. Today there is one: SQLite with its writer."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.ledger_kit import ANNA, BEN, CENT, hold, in_force, serving, settlement, void
from tuckshop.domain.actor import OPERATOR, SYSTEM
from tuckshop.domain.errors import (
    InsufficientQuotaError,
    RateLimitExceededError,
    RoughBoundError,
    ServerBusyError,
    StaleDirectoryError,
)
from tuckshop.domain.reservation import Amounts, AtBest, RefusedRow
from tuckshop.ledger.ledger import Ledger
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage.writer import Writer
from tuckshop.system_clock import SystemClock

Body = Callable[[Ledger, Writer, Path], Awaitable[None]]
Run = Callable[[Body], None]


@asynccontextmanager
async def sqlite_ledger(folder: Path) -> AsyncIterator[tuple[Ledger, Writer]]:
    async with serving(folder, SystemClock()) as (ledger, writer, _):
        yield ledger, writer


@pytest.fixture(params=[sqlite_ledger])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a test over an implementation, and replays its ledger afterwards (M8)."""

    def run(body: Body) -> None:
        async def main() -> None:
            async with request.param(tmp_path) as (ledger, writer):
                await asyncio.wait_for(body(ledger, writer, tmp_path), 30)

        asyncio.run(main())
        differences = verify_folder(tmp_path, full=True).differences
        assert [str(difference) for difference in differences] == []

    return run


def rows_in(folder: Path, query: str) -> list[tuple[object, ...]]:
    """As another process sees it: only what is committed."""
    with contextlib.closing(sqlite3.connect(folder / "tuckshop.db")) as connection:
        return connection.execute(query).fetchall()


def test_a_reservation_is_committed_when_it_is_told(run: Run) -> None:
    """M3."""

    async def body(ledger: Ledger, _: Writer, folder: Path) -> None:
        granted = await ledger.reserve(hold("$1/month"))

        query = "SELECT id, state, held_cost FROM requests"
        assert rows_in(folder, query) == [(granted.request_id, "reserved", granted.held.cost_nano)]
        assert granted.readings[0][1] == granted.held.cost_nano

    run(body)


def test_settling_replaces_what_is_held_by_what_was_used(run: Run) -> None:
    async def body(ledger: Ledger, _: Writer, folder: Path) -> None:
        limit = in_force("$1/month")
        granted = await ledger.reserve(hold(limit))
        ledger.settle(settlement(granted.request_id, Amounts(cost_nano=7)))
        await ledger.flush()

        (state,) = await ledger.states([limit])
        assert (state.used, state.reserved) == (7, 0)
        assert rows_in(folder, "SELECT state, cost FROM requests") == [("settled", 7)]

    run(body)


def test_voiding_gives_all_of_it_back(run: Run) -> None:
    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        limits = [
            in_force(text) for text in ("$1/month", "2 requests/day", "1 concurrent requests")
        ]
        granted = await ledger.reserve(hold(*limits))
        ledger.void(void(granted.request_id))
        await ledger.flush()

        assert [(s.used, s.reserved) for s in await ledger.states(limits)] == [(0, 0)] * 3

    run(body)


def test_the_first_resolution_stands(run: Run) -> None:
    """M6: raced by many tasks, exactly one is first."""

    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        granted = await ledger.reserve(hold("$1/month"))
        ends = [settlement(granted.request_id, Amounts(cost_nano=n)) for n in range(1, 20)]
        results = await asyncio.gather(
            *(ledger.resolved(end) for end in ends), ledger.resolved(void(granted.request_id))
        )

        told = [result for result in results if result is not None]
        assert len(told) == 20
        assert [result.is_first for result in told].count(True) == 1
        assert len({(r.state, r.charged, r.position) for r in told}) == 1
        assert await ledger.resolved(void("req_unknown")) is None

    run(body)


def test_many_at_once_never_pass_a_limit(run: Run) -> None:
    """M1: 300 parallel calls against a limit that fits ten worst cases."""

    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        call = hold("$1/month")
        cost = call.input_tokens * 150 + 100 * 600
        limit = in_force(f"${cost * 10 / 1e9:.9f}/month", "group")

        async def one() -> bool:
            try:
                await ledger.reserve(hold(limit, least=100))
            except (RateLimitExceededError, InsufficientQuotaError):
                return False
            return True

        assert sum(await asyncio.gather(*(one() for _ in range(300)))) == 10
        (state,) = await ledger.states([limit])
        assert (state.used, state.reserved) == (0, 10 * cost)

    run(body)


def test_all_limits_or_none(run: Run) -> None:
    """M2, M15."""

    async def body(ledger: Ledger, _: Writer, folder: Path) -> None:
        open_, full = in_force("$1/month"), in_force("0 requests/day", "group")
        with pytest.raises(RateLimitExceededError):
            await ledger.reserve(hold(open_, full))

        (state,) = await ledger.states([open_])
        assert (state.used, state.reserved) == (0, 0)
        assert rows_in(folder, "SELECT count(*) FROM requests") == [(0,)]

    run(body)


def test_those_who_wait_are_served_in_order(run: Run) -> None:
    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        limit = "1 concurrent requests"
        order: list[int] = []

        async def one(number: int) -> None:
            granted = await ledger.reserve(hold(limit, patience_s=20))
            order.append(number)
            assert number == 0 or granted.queue_ms >= 0
            ledger.settle(settlement(granted.request_id, Amounts(cost_nano=1)))

        await asyncio.gather(*(one(number) for number in range(50)))
        assert order == list(range(50))

    run(body)


def test_the_next_call_finds_what_the_one_before_it_left(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settlement need not be committed at once; yet a client's next call never meets its last one's hold."""
    monkeypatch.setattr("tuckshop.storage.work_queue.RIDE_S", 3600.0)

    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        limits = [in_force("1 concurrent requests"), in_force("20 requests/day")]
        for number in range(20):
            granted = await ledger.reserve(hold(*limits, patience_s=0))
            assert [reading[:2] for reading in granted.readings] == [(0, 1), (number + 1, 0)]
            if number < 19:
                ledger.settle(settlement(granted.request_id, Amounts(cost_nano=1)))
            else:
                ledger.void(void(granted.request_id))

        assert [(s.used, s.reserved) for s in await ledger.states(limits)] == [(0, 0), (19, 0)]

    run(body)


def test_who_waits_for_room_has_it_as_soon_as_a_call_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuckshop.storage.work_queue.RIDE_S", 3600.0)

    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        running = await ledger.reserve(hold("1 concurrent requests"))
        others = [
            asyncio.ensure_future(ledger.reserve(hold("1 concurrent requests", patience_s=3600)))
            for _ in range(5)
        ]
        await ledger.flush()
        for other in others:
            ledger.settle(settlement(running.request_id, Amounts(cost_nano=1)))
            running = await other

    run(body)


def test_patience_ends_with_a_refusal_that_says_who_holds(run: Run) -> None:
    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        await ledger.reserve(hold("1 concurrent requests"))
        with pytest.raises(RateLimitExceededError) as caught:
            await ledger.reserve(hold("1 concurrent requests", patience_s=0.2))

        assert (caught.value.held_by, caught.value.retry_after_s) == (1, 2)

    run(body)


def test_a_cancelled_caller_leaves_nothing_reserved(run: Run) -> None:
    """M15: parked, being committed or just told: wherever the cancellation meets it."""

    async def body(ledger: Ledger, _: Writer, folder: Path) -> None:
        limit = in_force("3 concurrent requests")
        tasks = []
        for number in range(120):
            tasks.append(asyncio.ensure_future(ledger.reserve(hold(limit, patience_s=20))))
            if number % 7 == 0:
                await asyncio.sleep(0.001)
            if number % 3:
                tasks[-1 - number % 2].cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await ledger.flush()
        for task in tasks:  # told before it was cancelled, so it is the caller's to end
            if not task.cancelled():
                ledger.void(void(task.result().request_id))
        await ledger.flush()

        (state,) = await ledger.states([limit])
        assert state.reserved == 0
        assert rows_in(folder, "SELECT count(*) FROM requests WHERE state = 'reserved'") == [(0,)]
        assert (await ledger.reserve(hold(limit))).queue_ms >= 0

    run(body)


def test_a_changed_directory_is_noticed(run: Run) -> None:
    """K3."""

    async def body(ledger: Ledger, writer: Writer, _: Path) -> None:
        running = await ledger.reserve(hold("1 concurrent requests"))
        waiting = asyncio.ensure_future(
            ledger.reserve(hold("1 concurrent requests", patience_s=20))
        )
        await ledger.flush()
        await writer.transact(lambda transaction: transaction.touch_directory())

        with pytest.raises(StaleDirectoryError):
            await waiting
        with pytest.raises(StaleDirectoryError):
            await ledger.reserve(hold("1 concurrent requests"))
        ledger.void(void(running.request_id))
        await ledger.reserve(hold("1 concurrent requests", version=2))

    run(body)


def test_a_reset_and_a_correction_are_seen_at_once(run: Run) -> None:
    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        limit = in_force("$0.01/month")
        granted = await ledger.reserve(hold(limit))
        await ledger.resolved(settlement(granted.request_id, Amounts(cost_nano=CENT)))
        with pytest.raises(InsufficientQuotaError):
            await ledger.reserve(hold(limit))

        await ledger.correct(
            granted.request_id, Amounts(cost_nano=CENT // 2), actor=SYSTEM, reason="late usage"
        )
        assert (await ledger.states([limit]))[0].used == CENT // 2
        await ledger.reset([ANNA.scope("member")], OPERATOR)
        assert (await ledger.states([limit]))[0].used == 0
        await ledger.reserve(hold(limit))

    run(body)


def test_a_long_log_is_summed_beside_running_calls(run: Run) -> None:
    """Section 6: a counter that nobody used before sees every row once, while calls come and go."""

    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        for _round in range(25):
            granted = await asyncio.gather(*(ledger.reserve(hold()) for _call in range(100)))
            for one in granted[1:]:
                ledger.settle(settlement(one.request_id, Amounts(cost_nano=3)))
        await ledger.flush()
        late = in_force("$1/month", "group")

        async def call(number: int) -> None:
            limits = (late,) if number % 2 else ()
            one = await ledger.reserve(hold(*limits, person=BEN if number % 3 else ANNA))
            ledger.settle(settlement(one.request_id, Amounts(cost_nano=5)))

        await asyncio.gather(*(call(number) for number in range(200)))
        await ledger.flush()
        (state,) = await ledger.states([late])
        (open_,) = await ledger.states([in_force("1000 concurrent requests", "group")])
        assert state.used == 25 * 99 * 3 + 200 * 5
        assert open_.reserved == 25

    run(body)


def test_refusals_are_rows_that_count_nowhere(run: Run) -> None:
    async def body(ledger: Ledger, _: Writer, folder: Path) -> None:
        for number in range(5):
            ledger.refuse(
                RefusedRow(
                    request_id=f"req_refused{number}",
                    workspace_id="wsp_default",
                    group_id="grp_a",
                    member_id="mem_a",
                    key_id="key_a",
                    endpoint="chat.completions",
                    model="gpt-9",
                    error="model_not_allowed",
                    http_status=403,
                )
            )
        await ledger.flush()

        assert rows_in(folder, "SELECT state, sum(repeats) FROM requests") == [("refused", 5)]

    run(body)


def test_a_price_is_pinned_before_the_hold_that_names_it(run: Run) -> None:
    """M11."""

    async def body(ledger: Ledger, _: Writer, folder: Path) -> None:
        ledger.pin_price("price", '{"a": 1}')
        ledger.pin_price("price", '{"a": 2}')
        await ledger.reserve(hold())

        query = "SELECT p.content FROM requests r JOIN prices p ON p.id = r.price_id"
        assert rows_in(folder, query) == [('{"a": 1}',)]

    run(body)


def test_at_a_stop_those_who_wait_are_refused_and_settlements_are_written(run: Run) -> None:
    async def body(ledger: Ledger, writer: Writer, folder: Path) -> None:
        running = await ledger.reserve(hold("1 concurrent requests"))
        first = asyncio.ensure_future(ledger.reserve(hold("1 concurrent requests", patience_s=20)))
        await ledger.flush()
        await ledger.release_all()
        with pytest.raises(ServerBusyError):
            await first
        second = asyncio.ensure_future(ledger.reserve(hold("1 concurrent requests", patience_s=20)))
        await ledger.flush()
        closing = asyncio.ensure_future(writer.close())
        ledger.settle(settlement(running.request_id, Amounts(cost_nano=1)))
        await closing
        with contextlib.suppress(ServerBusyError):
            ledger.void(void((await second).request_id))
        ledger.settle(settlement(running.request_id, Amounts(cost_nano=9)))  # too late: no matter

        (state, *_) = rows_in(folder, "SELECT state FROM requests ORDER BY position LIMIT 1")
        assert state in (("settled",), ("reserved",))

    run(body)


def test_a_bound_too_rough_is_sent_back_and_may_come_again_exact(run: Run) -> None:
    """M15: what is sent back leaves no trace."""

    async def body(ledger: Ledger, _: Writer, folder: Path) -> None:
        call = hold("1600 tokens/minute", input_tokens=2500, wanted=500)
        rough = replace(call, at_best=AtBest(300, call.terms))

        with pytest.raises(RoughBoundError):
            await ledger.reserve(rough)
        assert rows_in(folder, "SELECT id FROM requests") == []

        granted = await ledger.reserve(replace(rough, input_tokens=600, at_best=None))
        assert (granted.cap, granted.held.input_tokens) == (500, 600)

    run(body)


def test_a_bound_too_rough_is_sent_back_rather_than_made_to_wait(run: Run) -> None:
    async def body(ledger: Ledger, _: Writer, __: Path) -> None:
        limit = in_force("4000 tokens/minute")
        await ledger.reserve(hold(limit, input_tokens=2500, wanted=100))
        call = hold(limit, input_tokens=2500, wanted=100, patience_s=20)

        with pytest.raises(RoughBoundError):
            await ledger.reserve(replace(call, at_best=AtBest(300, call.terms)))
        granted = await ledger.reserve(replace(call, input_tokens=500))
        assert granted.queue_ms < 10_000

    run(body)
