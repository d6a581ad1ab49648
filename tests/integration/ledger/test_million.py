"""
A million reservations through one ledger, with everything that happens to them, and not one nano-USD unexplained.

M1 at every position, M5 for every call, M6 for every resolution, M8 after every round; hundreds of calls at a time,
windows of every kind that roll over years with their changes of hour, corrections, resets, and a start every 20,000
calls that finds some of them open (R1).
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.ledger.traffic import GROUPS, Audit, Event, Story, Traffic, number_of
from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import serving
from tests.support.ledger_model import Call
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage.database import open_for_reading

ROUND = 20_000
_ROW = (
    "SELECT state, position, resolved_position, admitted_at, held_cost, held_input_tokens, held_output_tokens, images,"
    " cost, flags FROM requests WHERE workspace_id = 'wsp_default' AND id = ?"
)


@pytest.mark.parametrize(
    "count", [3_000, pytest.param(1_000_000, marks=pytest.mark.soak)], ids=["few", "million"]
)
def test_a_million_reservations_leave_every_counter_explained(tmp_path: Path, count: int) -> None:
    seed = random.randrange(2**32)
    print(f"\nseed {seed}", flush=True)
    story = Story(clock=FakeClock(), chance=random.Random(seed))
    audit = Audit()
    rounds = max(3, count // ROUND)
    began = time.monotonic()

    events: list[Event] = []
    open_: dict[str, Call] = {}
    for number in range(rounds + 1):
        events = asyncio.run(
            _round(tmp_path, story, audit, events, open_, count // rounds, number, rounds)
        )
        report = verify_folder(tmp_path)
        assert [str(difference) for difference in report.differences] == [], "M8"
        print(
            f"{time.monotonic() - began:7.1f} s, {story.outcomes['granted']:,} granted", flush=True
        )

    took_s = time.monotonic() - began
    _tell(tmp_path, story, took_s)
    assert story.outcomes["granted"] >= count
    assert not open_


async def _round(
    folder: Path,
    story: Story,
    audit: Audit,
    events: list[Event],
    open_: dict[str, Call],
    count: int,
    number: int,
    last: int,
) -> list[Event]:
    """Start, see what became of what was open, go on for *count* more. Returns what this round's callers were told."""
    async with serving(folder, story.clock, boot=f"boot_{number}", groups=GROUPS) as (
        ledger,
        writer,
        _,
    ):
        with closing(open_for_reading(folder)) as connection:
            events += _recovered(connection, story, open_)
        audit.go_through(events)
        limits = [tally.limit for tally in audit.tallies.values()]
        now_us = story.clock.now_us()
        for tally, state in zip(audit.tallies.values(), await ledger.states(limits), strict=True):
            assert tally.reading(now_us) == (state.used, state.reserved), (
                f"{state.limit} of {state.scope}"
            )
        if number == last:
            return []
        traffic = Traffic(story, ledger, writer)
        await traffic.run(count)
    with closing(open_for_reading(folder)) as connection:
        traffic.events += _withdrawn(connection, story, traffic)
    open_.update(traffic.left)
    return traffic.events


def _recovered(connection: sqlite3.Connection, story: Story, open_: dict[str, Call]) -> list[Event]:
    """R1: what was open at the end of the last round is settled at its bound, and says so."""
    events: list[Event] = []
    for call in open_.values():
        state, _, resolved, _, held, *_, cost, flags = connection.execute(
            _ROW, (call.id,)
        ).fetchone()
        assert (state, cost) == ("settled", held)
        assert "unconfirmed" in flags.split()
        story.flagged.add(number_of(call.id))
        story.outcomes["left open, settled at the next start"] += 1
        events.append((resolved, "resolved", call, ("settled", call.held)))
    open_.clear()
    return events


def _withdrawn(connection: sqlite3.Connection, story: Story, traffic: Traffic) -> list[Event]:
    """M15: who left before the answer has left no trace, or what they held was given back."""
    events: list[Event] = []
    for request_id, (person, model) in traffic.withdrawn.items():
        row = connection.execute(_ROW, (request_id,)).fetchone()
        if row is None:
            continue
        state, position, resolved, at_us, cost, inputs, outputs, images, *_ = row
        assert state == "voided"
        held = Amounts(cost_nano=cost, input_tokens=inputs, output_tokens=outputs, images=images)
        call = Call(request_id, person, model, at_us, position, held)
        events.append((position, "reserved", call, None))
        events.append((resolved, "resolved", call, ("voided", Amounts())))
        story.outcomes["withdrawn after they were admitted"] += 1
    return events


def _tell(folder: Path, story: Story, took_s: float) -> None:
    """M5 for every call, the whole replay, and the closing counts."""
    began = time.monotonic()
    report = verify_folder(folder, full=True)
    replay_s = time.monotonic() - began
    assert [str(difference) for difference in report.differences] == [], "M8, from the beginning"
    recorded_sum = billed_sum = over_sum = 0
    with closing(open_for_reading(folder)) as connection:
        added = dict(
            connection.execute(
                "SELECT request_id, sum(cost) FROM entries WHERE kind = 'correction' GROUP BY request_id"
            )
        )
        for request_id, state, cost in connection.execute("SELECT id, state, cost FROM requests"):
            number = number_of(request_id)
            billed = story.billed[number]
            assert state == ("settled" if billed >= 0 else "voided"), request_id
            recorded = cost + added.get(request_id, 0)
            if request_id in story.corrected:
                billed = story.corrected[request_id][1]
            billed = max(billed, 0)
            assert recorded >= billed, f"M5: {request_id}"
            assert recorded == billed or number in story.flagged, f"M16: {request_id}"
            recorded_sum, billed_sum = recorded_sum + recorded, billed_sum + billed
            over_sum += recorded - billed
        (rows,) = connection.execute("SELECT count(*) FROM requests").fetchone()
        (total,) = connection.execute("SELECT sum(cost) FROM usage_buckets").fetchone()
    assert total == recorded_sum, "the roll-up is the sum of all calls"
    days = (story.clock.now_us() - FakeClock().now_us()) / 86_400_000_000
    size = sum(file.stat().st_size for file in folder.glob("*.db*"))
    print(
        f"rows {rows:,}; {report.counters:,} counters, {report.buckets:,} buckets; {days:,.0f} days passed"
    )
    for outcome, number in sorted(story.outcomes.items()):
        print(f"  {number:>10,} {outcome}")
    print(
        f"recorded ${recorded_sum / 1e9:,.9f}, billed ${billed_sum / 1e9:,.9f}, over ${over_sum / 1e9:,.9f} (flagged)"
    )
    print(
        f"took {took_s:,.0f} s, full replay {replay_s:,.1f} s, file {size / 1e6:,.0f} MB",
        flush=True,
    )
