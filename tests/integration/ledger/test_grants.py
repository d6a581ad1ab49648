"""Grants and carried money in a real ledger file: what a member may spend, window after window (M1, M8, M14)."""

from __future__ import annotations

from datetime import UTC as UTC_ZONE
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import ANNA, BEN, CENT, Desk, Person, hold, in_force, settlement, void
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import InsufficientQuotaError, RateLimitExceededError
from tuckshop.domain.reservation import Amounts, CarryOver, Granted, LimitInForce
from tuckshop.domain.windows import ZoneHistory
from tuckshop.ledger import grants, resets
from tuckshop.ledger.verify import verify

BERLIN = ZoneHistory.of("Europe/Berlin")
DAY_S = 86_400


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, FakeClock(at(2026, 11, 24)))


def at(*when: int) -> int:
    """Microseconds of a UTC time."""
    return int(datetime(*when, tzinfo=UTC_ZONE).timestamp()) * 1_000_000  # type: ignore[arg-type, misc]


def give(desk: Desk, cents: int, *, until_us: int | None = None, person: Person = ANNA) -> str:
    (made,) = desk.change(
        lambda transaction: grants.grant(
            desk.engine,
            transaction,
            workspace_id="wsp_default",
            member_ids=[person.member],
            amount_nano=cents * CENT,
            until_us=until_us,
            actor=OPERATOR,
            reason=None,
        )
    )
    return str(made)


def spend(desk: Desk, cents: int, *limits: LimitInForce) -> bool:
    """Whether a call of so many cents gets through; it is settled at once."""
    granted = desk.one(hold(*limits, fees=cents * CENT, input_tokens=0, wanted=0))
    if isinstance(granted, Granted):
        desk.one(settlement(granted.request_id, Amounts(cost_nano=cents * CENT)))
        return True
    assert isinstance(granted, InsufficientQuotaError), granted
    return False


def remaining(desk: Desk, limit: LimitInForce) -> float:
    return float(desk.state(limit).remaining) / CENT


def left(desk: Desk, *limits: LimitInForce) -> dict[str, list[float]]:
    found = desk.change(
        lambda transaction: grants.grants_of(
            desk.engine, transaction, workspace_id="wsp_default", member_id="mem_a", limits=limits
        )
    )
    return {id_: [amount / CENT for _, amount in lefts] for id_, lefts in found.left.items()}


def uses(desk: Desk) -> list[tuple[str, float]]:
    rows = desk.rows(
        "SELECT grant_id, cost FROM entries WHERE kind = 'grant_use' ORDER BY position"
    )
    return [(grant_id, cost / CENT) for grant_id, cost in rows]


def reset(desk: Desk, *, with_total: bool = False) -> None:
    desk.change(
        lambda transaction: resets.reset(
            desk.engine,
            transaction,
            workspace_id="wsp_default",
            scopes=[ANNA.scope("member")],
            actor=OPERATOR,
            with_total=with_total,
        )
    )


def carrying(
    text: str, cents: int, *, since_us: int = 0, zone: ZoneHistory = BERLIN
) -> LimitInForce:
    limit = in_force(text, zone=zone)
    return LimitInForce(
        scope=limit.scope,
        limit=limit.limit,
        zone=zone,
        amounts_visible=True,
        carry=CarryOver(cents * CENT, since_us),
    )


def is_true(desk: Desk) -> bool:
    """M8: the ledger contradicts itself nowhere."""
    found = [
        str(d) for full in (True, False) for d in verify(desk.session.driver, full=full).differences
    ]
    assert found == []
    return True


# ── grants ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_grant_is_money_beyond_the_amount_once(desk: Desk) -> None:
    """M1: what a window spends above its amount is taken from the grant, until that is used up."""
    limit = in_force("$0.20/month")
    assert spend(desk, 15, limit)
    made = give(desk, 50)

    assert remaining(desk, limit) == 55
    assert spend(desk, 40, limit)  # 5 of the month, 35 of the grant
    assert left(desk, limit) == {made: [15]}
    assert not spend(desk, 16, limit)
    desk.clock.advance(10 * DAY_S)  # December
    assert remaining(desk, limit) == 35
    assert spend(desk, 35, limit)
    assert not spend(desk, 1, limit)
    desk.clock.advance(31 * DAY_S)  # January: the grant is used up
    assert remaining(desk, limit) == 20
    assert spend(desk, 20, limit)
    assert not spend(desk, 1, limit)
    assert uses(desk) == [(made, 35), (made, 15)]
    assert is_true(desk)


def test_each_limit_takes_from_a_grant_for_itself(desk: Desk) -> None:
    day, month, on_model = (
        in_force(text) for text in ("$0.10/day", "$0.30/month", "$0.05/day on gpt-4o")
    )
    made = give(desk, 10)

    assert spend(desk, 15, day, month)

    assert left(desk, day, month, on_model) == {made: [5, 10, 10]}
    assert (remaining(desk, day), remaining(desk, month)) == (5, 25)
    assert not spend(desk, 6, day, month)
    assert spend(desk, 5, day, month)
    desk.clock.advance(DAY_S)
    assert spend(desk, 10, day, month)  # the day begins anew, its grant does not
    assert not spend(desk, 1, day, month)
    assert left(desk, month) == {made: [10]}


def test_only_a_members_own_money_is_lifted(desk: Desk) -> None:
    """Never a key's, a shared, a workspace's limit, nor requests or tokens, nor what rolls."""
    others = [
        in_force("$0.05/day", "key"),
        in_force("$0.05/day", "group"),
        in_force("$0.05/day", "workspace"),
        in_force("$0.05/5 hours"),
        in_force("100 tokens/day"),
        in_force("1 request/day"),
    ]
    give(desk, 100)

    for limit in others:
        state = desk.state(limit)
        assert (state.lift, state.remaining) == (0, limit.limit.amount)
    assert not spend(desk, 6, others[0])
    assert not spend(desk, 6, in_force("$5/day"), others[1])


def test_a_grant_of_one_is_nobody_elses(desk: Desk) -> None:
    give(desk, 50, person=BEN)

    assert remaining(desk, in_force("$0.20/month")) == 20
    assert remaining(desk, in_force("$0.20/month", person=BEN)) == 70


def test_the_grant_that_ends_first_gives_first(desk: Desk) -> None:
    limit = in_force("$0.10/month")
    late, endless, soon = (
        give(desk, 10, until_us=at(2027, 6, 1)),
        give(desk, 10),
        give(desk, 10, until_us=at(2026, 11, 26)),
    )

    assert spend(desk, 25, limit)

    assert left(desk, limit) == {soon: [0], late: [5], endless: [10]}


def test_what_a_grant_gave_stays_given_when_it_ends(desk: Desk) -> None:
    """Its end in the middle of a window takes nothing from the window's own, and nothing from other grants."""
    limit = in_force("$0.10/month")
    soon, late = give(desk, 10, until_us=at(2026, 11, 26)), give(desk, 10)
    assert spend(desk, 16, limit)

    desk.clock.advance(3 * DAY_S)

    assert left(desk, limit) == {late: [10]}
    assert remaining(desk, limit) == 10
    assert spend(desk, 3, limit)
    assert uses(desk) == [(soon, 6)]
    assert left(desk, limit) == {late: [7]}
    assert spend(desk, 7, limit)
    assert not spend(desk, 1, limit)
    assert is_true(desk)


def test_a_grant_that_is_past_adds_nothing(desk: Desk) -> None:
    limit = in_force("$0.10/day")
    give(desk, 10, until_us=at(2026, 11, 25))
    assert spend(desk, 12, limit)

    desk.clock.advance(DAY_S)

    assert remaining(desk, limit) == 10
    assert spend(desk, 10, limit)
    assert not spend(desk, 1, limit)


def test_a_settlement_gives_back_to_the_grant_what_was_only_held(desk: Desk) -> None:
    limit = in_force("$0.10/month")
    made = give(desk, 10)
    granted = desk.one(hold(limit, fees=18 * CENT, input_tokens=0, wanted=0))
    assert left(desk, limit) == {made: [2]}

    desk.one(settlement(granted.request_id, Amounts(cost_nano=4 * CENT)))

    assert left(desk, limit) == {made: [10]}
    assert remaining(desk, limit) == 16
    assert uses(desk) == []


def test_granted_money_may_be_spent_by_a_lowered_cap(desk: Desk) -> None:
    limit = in_force("$0.0001/month")
    assert isinstance(desk.one(hold(limit, wanted=1_000)), Granted)
    before = desk.one(hold(limit, wanted=1_000))
    give(desk, 1)

    granted = desk.one(hold(limit, wanted=100_000, greatest=100_000))

    assert isinstance(before, RateLimitExceededError)
    assert granted.lowered_by == limit.limit
    assert granted.cap > 16_000
    (reading,) = granted.readings
    assert reading[0] + reading[1] <= limit.limit.amount + reading[3]


def test_a_refusal_counts_the_grant_in(desk: Desk) -> None:
    limit = in_force("$0.10/month")
    give(desk, 10)
    assert spend(desk, 15, limit)

    refused = desk.one(hold(limit, fees=6 * CENT, input_tokens=0, wanted=0))

    assert isinstance(refused, InsufficientQuotaError)
    assert (refused.state.used, refused.state.remaining) == (15 * CENT, 5 * CENT)


def test_who_waits_for_room_gets_it_by_a_grant(desk: Desk) -> None:
    limit = in_force("$0.10/month")
    desk.one(hold(limit, fees=10 * CENT, input_tokens=0, wanted=0))
    waiting = hold(
        limit, fees=5 * CENT, input_tokens=0, wanted=0, patience_s=20, request_id="req_wait"
    )
    assert desk.one(waiting) is None

    give(desk, 10)

    assert isinstance(desk.answers["req_wait"], Granted)


def test_lowering_a_limit_takes_nothing_from_a_grant_afterwards(desk: Desk) -> None:
    """A limit lowered below what is used leaves the grant, which goes on above what was spent."""
    made = give(desk, 10)
    assert spend(desk, 30, in_force("$0.30/month"))

    lower = in_force("$0.05/month")

    assert left(desk, lower) == {made: [10]}
    assert spend(desk, 4, lower)
    assert left(desk, lower) == {made: [6]}
    assert not spend(desk, 7, lower)
    desk.clock.advance(10 * DAY_S)
    assert spend(desk, 11, lower)
    assert uses(desk) == [(made, 4)]
    assert not spend(desk, 1, lower)
    assert is_true(desk)


def test_raising_a_limit_gives_back_to_the_grant(desk: Desk) -> None:
    made = give(desk, 10)
    assert spend(desk, 15, in_force("$0.10/month"))

    assert left(desk, in_force("$0.12/month")) == {made: [7]}
    assert remaining(desk, in_force("$0.12/month")) == 7


def test_a_limit_without_a_grant_that_is_lowered_below_what_is_used_refuses_to_its_end(
    desk: Desk,
) -> None:
    assert spend(desk, 15, in_force("$0.20/month"))
    lower = in_force("$0.10/month")

    assert not spend(desk, 1, lower)
    desk.clock.advance(10 * DAY_S)
    assert spend(desk, 10, lower)


def test_a_closed_window_is_judged_by_the_amount_it_had(desk: Desk) -> None:
    made = give(desk, 10)
    assert spend(desk, 20, in_force("$0.20/month"))
    desk.clock.advance(10 * DAY_S)

    assert spend(desk, 1, in_force("$0.05/month"))

    assert uses(desk) == []
    assert left(desk, in_force("$0.05/month")) == {made: [10]}


def test_a_reset_fixes_what_was_taken_and_gives_the_amount_anew(desk: Desk) -> None:
    """M14: a reset is a row; it gives back a window's amount, never a grant."""
    limit = in_force("$0.10/month")
    made = give(desk, 10)
    assert spend(desk, 14, limit)
    running = desk.one(hold(limit, fees=3 * CENT, input_tokens=0, wanted=0))

    reset(desk)

    assert uses(desk) == [(made, 4)]
    assert remaining(desk, limit) == 10 - 3 + 6
    desk.one(settlement(running.request_id, Amounts(cost_nano=3 * CENT)))
    assert spend(desk, 13, limit)
    assert not spend(desk, 1, limit)
    assert is_true(desk)


def test_total_is_lifted_for_good(desk: Desk) -> None:
    limit = in_force("$0.10 total")
    give(desk, 5)
    assert spend(desk, 15, limit)
    desk.clock.advance(400 * DAY_S)
    assert not spend(desk, 1, limit)
    reset(desk)
    assert not spend(desk, 1, limit)
    reset(desk, with_total=True)
    assert spend(desk, 10, limit)
    assert not spend(desk, 1, limit)
    assert is_true(desk)


def test_a_grant_survives_a_crash(desk: Desk) -> None:
    """M4: it is read back, with what was taken from it."""
    limit = in_force("$0.10/month")
    made = give(desk, 20)
    assert spend(desk, 15, limit)
    desk.clock.advance(10 * DAY_S)
    assert spend(desk, 12, limit)

    desk.reopen()

    assert left(desk, limit) == {made: [13]}
    assert remaining(desk, limit) == 13


def test_what_a_failed_batch_entered_is_not_there(desk: Desk) -> None:
    limit = in_force("$0.10/month")
    made = give(desk, 20)
    assert spend(desk, 15, limit)
    desk.clock.advance(10 * DAY_S)
    failing = hold(limit, fees=CENT, input_tokens=0, wanted=0)

    desk.do(failing, fail=True)

    assert uses(desk) == []
    assert spend(desk, 25, limit)
    assert uses(desk) == [(made, 5)]
    assert not spend(desk, 1, limit)


def test_a_window_that_is_long_past_is_summed_from_the_rows(desk: Desk) -> None:
    """Its counter may be gone: after 32 days, or because its kind was not used for a while."""
    limit = in_force("$0.10/month")
    made = give(desk, 20)
    assert spend(desk, 15, limit)
    desk.clock.advance(100 * DAY_S)
    desk.change(lambda transaction: transaction.cursor.execute("DELETE FROM counters"))
    desk.reopen()

    assert spend(desk, 10, limit)

    assert uses(desk) == [(made, 5)]


def test_a_clock_set_back_charges_no_grant_twice(desk: Desk) -> None:
    limit = in_force("$0.10/day")
    made = give(desk, 20)
    assert spend(desk, 15, limit)
    desk.clock.advance(DAY_S)
    assert spend(desk, 12, limit)
    assert uses(desk) == [(made, 5)]

    desk.clock.wall_us -= DAY_S * 1_000_000
    desk.accept_clock()

    assert remaining(desk, limit) == 13
    assert spend(desk, 13, limit)
    assert not spend(desk, 1, limit)
    assert sum(amount for _, amount in uses(desk)) <= 20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE entries SET cost = 4 * 10000000 WHERE kind = 'grant'", "at most 40000000 in all"),
        ("UPDATE entries SET cost = 6 * 10000000 WHERE kind = 'grant_use'", "above the ground"),
        ("UPDATE entries SET cost = -1 WHERE kind = 'grant_use'", "an amount"),
        ("DELETE FROM entries WHERE kind = 'grant'", "a grant of that member"),
        (
            "UPDATE entries SET grant_id = 'ent_x' WHERE kind = 'grant_use'",
            "a grant of that member",
        ),
        ("UPDATE entries SET cost = cost + 1 WHERE kind = 'ground'", "above the ground"),
        ("DELETE FROM entries WHERE kind = 'ground'", "the ground of its window"),
    ],
)
def test_verify_finds_a_grant_that_was_used_wrongly(desk: Desk, change: str, said: str) -> None:
    """M8: of entries that contradict each other or the log, each is told."""
    limit = in_force("$0.10/month")
    give(desk, 20)
    assert spend(desk, 15, limit)
    desk.clock.advance(10 * DAY_S)
    assert spend(desk, 1, limit)
    assert is_true(desk)

    desk.change(lambda transaction: transaction.cursor.execute(change))

    found = [str(d) for d in verify(desk.session.driver, full=True).differences]
    assert found
    assert said in " ".join(found)


# ── what is carried over ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_window_begins_with_what_the_one_before_left(desk: Desk) -> None:
    """At most as much as the group says, over and over."""
    limit = carrying("$0.20/month", 30, since_us=at(2026, 11, 20))
    assert remaining(desk, limit) == 20
    assert spend(desk, 5, limit)

    desk.clock.wall_us = at(2026, 12, 5)
    assert remaining(desk, limit) == 35
    assert spend(desk, 1, limit)
    desk.clock.wall_us = at(2027, 1, 5)
    assert remaining(desk, limit) == 50  # 34 were left, at most 30 go on
    assert spend(desk, 50, limit)
    desk.clock.wall_us = at(2027, 2, 5)
    assert remaining(desk, limit) == 20
    assert desk.rows("SELECT cost / 10000000 FROM entries WHERE kind = 'carry'") == [(15,), (30,)]
    assert is_true(desk)


def test_a_lowered_amount_leaves_nothing_of_what_it_took_away(desk: Desk) -> None:
    """M1, M14: 0 blocks, in the next window too, though no call came between the edit and the turn."""
    since_us = at(2026, 11, 1)
    assert spend(desk, 5, carrying("$1/month", 500, since_us=since_us))
    blocked = carrying("$0/month", 500, since_us=since_us)
    lower = carrying("$0.20/month", 500, since_us=since_us)
    assert remaining(desk, lower) == 15

    desk.clock.wall_us = at(2026, 12, 5)

    assert remaining(desk, blocked) == 0
    assert not spend(desk, 1, blocked)
    assert remaining(desk, lower) == 20 + 15
    assert spend(desk, 35, lower)
    assert is_true(desk)


def test_a_reset_brings_no_money_back_that_a_lowered_amount_took_away(desk: Desk) -> None:
    """M14."""
    since_us = at(2026, 11, 1)
    assert spend(desk, 95, carrying("$1/month", 500, since_us=since_us))
    lower = carrying("$0.20/month", 500, since_us=since_us)
    reset(desk)

    desk.clock.wall_us = at(2026, 12, 5)

    assert remaining(desk, lower) == 40
    assert is_true(desk)


def test_windows_without_a_call_save_too(desk: Desk) -> None:
    limit = carrying("$0.20/month", 50, since_us=at(2026, 11, 20))
    assert spend(desk, 15, limit)

    desk.clock.wall_us = at(2027, 1, 5)

    assert remaining(desk, limit) == 20 + 5 + 20
    desk.clock.wall_us = at(2027, 9, 5)
    assert remaining(desk, limit) == 20 + 50


def test_nothing_is_saved_before_the_group_said_so(desk: Desk) -> None:
    """The window in which it is set is the first that leaves anything, with what was spent in it before."""
    assert spend(desk, 15, in_force("$0.20/month", zone=BERLIN))
    limit = carrying("$0.20/month", 50, since_us=desk.clock.wall_us)

    assert remaining(desk, limit) == 5
    desk.clock.wall_us = at(2026, 12, 5)
    assert remaining(desk, limit) == 25


def test_what_a_held_call_may_cost_is_not_left(desk: Desk) -> None:
    limit = carrying("$0.20/month", 50, since_us=at(2026, 11, 1))
    running = desk.one(hold(limit, fees=18 * CENT, input_tokens=0, wanted=0))
    desk.clock.wall_us = at(2026, 12, 5)

    assert spend(desk, 1, limit)
    desk.one(void(running.request_id))

    assert remaining(desk, limit) == 21
    assert is_true(desk)


def test_carried_money_goes_before_a_grant(desk: Desk) -> None:
    limit = carrying("$0.20/month", 50, since_us=at(2026, 11, 1))
    made = give(desk, 10)
    assert spend(desk, 15, limit)
    desk.clock.wall_us = at(2026, 12, 5)

    assert remaining(desk, limit) == 20 + 5 + 10
    assert spend(desk, 26, limit)

    assert left(desk, limit) == {made: [9]}
    desk.clock.wall_us = at(2027, 1, 5)
    assert remaining(desk, limit) == 29


def test_the_hour_that_the_clocks_change_moves_no_money(desk: Desk) -> None:
    """Windows touch, whatever the clocks do: 25 and 23 hours are one day."""
    desk.clock.wall_us = at(2027, 3, 27, 12)
    limit = carrying("$0.10/day", 100, since_us=desk.clock.wall_us)
    assert spend(desk, 4, limit)

    desk.clock.wall_us = at(2027, 3, 28, 21, 59)  # 23:59 in Berlin, on the day of 23 hours
    assert remaining(desk, limit) == 16
    desk.clock.wall_us = at(2027, 3, 28, 22)  # midnight
    assert remaining(desk, limit) == 26
    assert spend(desk, 26, limit)
    desk.clock.wall_us = at(2027, 3, 29, 21, 59)
    assert not spend(desk, 1, limit)
    desk.clock.wall_us = at(2027, 3, 29, 22)
    assert remaining(desk, limit) == 10


def test_a_carry_over_that_ends_takes_back_what_it_gave(desk: Desk) -> None:
    limit = carrying("$0.20/month", 50, since_us=at(2026, 11, 1))
    assert spend(desk, 5, limit)
    desk.clock.wall_us = at(2026, 12, 5)
    assert spend(desk, 1, limit)

    assert remaining(desk, limit) == 34
    assert remaining(desk, in_force("$0.20/month", zone=BERLIN)) == 19


def test_calls_of_many_tell_the_same_as_one(desk: Desk) -> None:
    """A policy hands out one tuple of limits again and again; what was found out for one call may not outlive it."""
    limits = (in_force("$0.10/month"),)
    call = hold(*limits, fees=4 * CENT, input_tokens=0, wanted=0)
    answers = [desk.one(msgspec.structs.replace(call, request_id=f"req_{n}")) for n in range(3)]
    assert [isinstance(answer, Granted) for answer in answers] == [True, True, False]

    give(desk, 4)

    answers = [desk.one(msgspec.structs.replace(call, request_id=f"req_1{n}")) for n in range(3)]
    assert [isinstance(answer, Granted) for answer in answers] == [True, False, False]
