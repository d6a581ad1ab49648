"""The engine, batch by batch: waiting, resets, limits that change, refusals in the log, roll-backs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.ledger_kit import ANNA, BEN, CENT, Desk, hold, in_force, settlement, void
from tuckshop.domain.actor import OPERATOR, SYSTEM
from tuckshop.domain.errors import (
    ConflictError,
    InsufficientQuotaError,
    RateLimitExceededError,
    RequestExceedsLimitError,
    ServerBusyError,
    StaleDirectoryError,
)
from tuckshop.domain.reservation import Amounts, Granted, RefusedRow, Scope
from tuckshop.domain.windows import ZoneHistory
from tuckshop.ledger import corrections, resets
from tuckshop.ledger.operations import PinPrice, ReleaseAll, Reserve, Withdraw, WriteNotes
from tuckshop.ledger.verify import verify
from tuckshop.storage.batch import Submission
from tuckshop.storage.transaction import Transaction

NOTHING_USED = Amounts()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    report = verify(made.session.driver, full=True)
    assert [str(difference) for difference in report.differences] == []  # M8, after every test
    made.close()


def reset(desk: Desk, *scopes: Scope, with_total: bool = False) -> None:
    desk.change(
        lambda t: resets.reset(
            desk.engine,
            t,
            workspace_id="wsp_default",
            scopes=scopes,
            actor=OPERATOR,
            with_total=with_total,
        )
    )


def correct(desk: Desk, request_id: str, true: Amounts, actor: Any = OPERATOR) -> Any:
    return desk.change(
        lambda t: corrections.correct(
            desk.engine,
            t,
            workspace_id="wsp_default",
            request_id=request_id,
            true=true,
            actor=actor,
            reason="the bill",
        )
    )


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_used_up_budget_says_which_limit_and_when_it_renews(desk: Desk) -> None:
    granted = desk.one(hold("$0.01/month", "$0.02/year"))
    desk.one(settlement(granted.request_id, Amounts(cost_nano=CENT)))

    refused = desk.one(hold("$0.01/month", "$0.02/year"))

    assert isinstance(refused, InsufficientQuotaError)
    assert str(refused.state.limit) == "$0.01/month"
    assert (refused.state.used, refused.state.reserved, refused.state.remaining) == (CENT, 0, 0)
    assert refused.state.resets_at_us == 1_796_083_200_000_000  # 2026-12-01, UTC


def test_of_several_full_limits_the_one_that_stays_full_longest_is_told(desk: Desk) -> None:
    limits = ("$0.01/day", "$0.01/month", "1 requests/minute")
    granted = desk.one(hold(*limits))
    desk.one(settlement(granted.request_id, Amounts(cost_nano=CENT)))

    refused = desk.one(hold(*limits))

    assert isinstance(refused, InsufficientQuotaError)
    assert str(refused.state.limit) == "$0.01/month"


def test_a_full_rate_limit_tells_when_enough_has_left(desk: Desk) -> None:
    desk.one(hold("2 requests/minute"))
    desk.clock.advance(30)
    desk.one(hold("2 requests/minute"))
    desk.clock.advance(10)

    refused = desk.one(hold("2 requests/minute"))

    assert isinstance(refused, RateLimitExceededError)
    assert 20 <= refused.retry_after_s <= 21
    desk.clock.advance(refused.retry_after_s)
    assert isinstance(desk.one(hold("2 requests/minute")), Granted)
    assert isinstance(desk.one(hold("2 requests/minute")), RateLimitExceededError)


def test_what_never_fits_is_told_with_both_numbers(desk: Desk) -> None:
    refused = desk.one(hold("1000 tokens/minute", "$0/month", input_tokens=2000, least=16))

    assert isinstance(refused, RequestExceedsLimitError)
    assert (refused.needed, refused.state.limit.amount) == (2016, 1000)


def test_a_hold_outside_of_its_chain_is_a_mistake(desk: Desk) -> None:
    """M2: a limit that is checked is one that is taken from."""
    assert isinstance(desk.one(hold(in_force("$1/day", person=BEN), person=ANNA)), ValueError)


def test_an_old_directory_is_not_trusted(desk: Desk) -> None:
    """K3: a revoked key or a lowered limit holds from the next reservation on."""
    assert isinstance(desk.one(hold("$1/day", version=7)), StaleDirectoryError)


def test_members_share_what_is_shared_and_nothing_else(desk: Desk) -> None:
    shared = [in_force("3 requests/day", "group", person) for person in (ANNA, BEN)]
    own = [in_force("2 requests/day", "member", person) for person in (ANNA, BEN)]

    answers = desk.do(
        hold(own[0], shared[0], person=ANNA),
        hold(own[0], shared[0], person=ANNA),
        hold(own[0], shared[0], person=ANNA),
        hold(own[1], shared[1], person=BEN),
        hold(own[1], shared[1], person=BEN),
    )

    assert [isinstance(answer, Granted) for answer in answers] == [True, True, False, True, False]
    assert answers[2].state.scope.kind == "member"
    assert answers[4].state.scope.kind == "group"


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_only_held_is_waited_for_in_order(desk: Desk) -> None:
    limit = "2 concurrent requests"
    running = desk.do(hold(limit), hold(limit))
    waiting = [hold(limit, patience_s=20) for _ in range(3)]
    assert desk.do(*waiting) == [None, None, None]

    desk.clock.advance(3)
    desk.do(settlement(running[0].request_id, NOTHING_USED))

    granted = desk.answers.pop(waiting[0].request_id)
    assert isinstance(granted, Granted)
    assert granted.queue_ms == 3000
    assert granted.at_us == desk.clock.now_us()
    assert waiting[1].request_id not in desk.answers
    desk.do(void(granted.request_id), void(running[1].request_id))
    assert isinstance(desk.answers.pop(waiting[1].request_id), Granted)
    assert isinstance(desk.answers.pop(waiting[2].request_id), Granted)


def test_a_newcomer_does_not_overtake_though_it_would_fit(desk: Desk) -> None:
    limit = "1000 tokens/day"
    running = desk.one(hold(limit, input_tokens=700))
    big = hold(limit, input_tokens=600, patience_s=20)
    small = hold(limit, input_tokens=10, wanted=20, patience_s=20)
    other = hold(limit, "5 requests/day", patience_s=20, input_tokens=0, wanted=0)

    assert desk.do(big, small) == [None, None]
    assert isinstance(desk.one(other), Granted)  # takes nothing that anybody waits for

    desk.do(void(running.request_id))
    assert isinstance(desk.answers[big.request_id], Granted)
    assert isinstance(desk.answers[small.request_id], Granted)


def test_who_waits_too_long_is_told_by_how_many_it_is_held(desk: Desk) -> None:
    limit = "2 concurrent requests"
    desk.do(hold(limit), hold(limit))
    waiting = hold(limit, patience_s=20)
    desk.do(waiting)
    assert desk.engine.wake_at_s() == desk.clock.monotonic_s() + 20

    desk.clock.advance(20)
    desk.do()

    refused = desk.answers[waiting.request_id]
    assert isinstance(refused, RateLimitExceededError)
    assert (refused.held_by, refused.retry_after_s) == (2, 2)
    assert desk.engine.wake_at_s() is None
    assert desk.rows("SELECT count(*) FROM requests") == [(2,)]  # M15


def test_without_patience_nobody_waits(desk: Desk) -> None:
    desk.one(hold("1 concurrent requests"))

    assert isinstance(desk.one(hold("1 concurrent requests")), RateLimitExceededError)


def test_a_hold_that_leaves_a_rolling_window_makes_room(desk: Desk) -> None:
    limit = "200 tokens/minute"
    desk.one(hold(limit))
    desk.clock.advance(50)
    waiting = hold(limit, patience_s=20)
    assert desk.one(waiting) is None

    wake_at_s = desk.engine.wake_at_s()
    assert wake_at_s is not None
    desk.clock.advance(wake_at_s - desk.clock.monotonic_s())
    desk.do()

    granted = desk.answers[waiting.request_id]
    assert isinstance(granted, Granted)
    assert 10_000 <= granted.queue_ms <= 11_000


def test_who_is_withdrawn_leaves_no_trace_and_makes_room(desk: Desk) -> None:
    """M15."""
    limit = "500 tokens/day"
    running = desk.one(hold(limit, input_tokens=300))
    first, second = (hold(limit, input_tokens=300, patience_s=20) for _ in range(2))
    small = hold(limit, input_tokens=1, wanted=20, patience_s=20)
    assert desk.do(first, second, small) == [None, None, None]

    desk.do(Withdraw("wsp_default", first.request_id), Withdraw("wsp_default", second.request_id))

    assert isinstance(desk.answers[small.request_id], Granted)
    desk.do(Withdraw("wsp_default", running.request_id))
    assert desk.rows("SELECT state FROM requests WHERE id = ?", running.request_id) == [("voided",)]
    assert desk.rows("SELECT count(*) FROM requests") == [(2,)]
    desk.do(Withdraw("wsp_default", "req_never"))


def test_a_reset_wakes_those_who_wait(desk: Desk) -> None:
    limit = in_force("300 tokens/day")
    done = desk.one(hold(limit, wanted=50))
    desk.one(settlement(done.request_id, Amounts(input_tokens=100, output_tokens=50)))
    desk.one(hold(limit, wanted=16))
    waiting = hold(limit, wanted=16, patience_s=20)
    assert desk.one(waiting) is None

    reset(desk, ANNA.scope("member"))

    assert isinstance(desk.answers[waiting.request_id], Granted)


def test_a_change_of_the_directory_sends_back_those_who_wait_with_their_place(desk: Desk) -> None:
    running = desk.one(hold("1 concurrent requests"))
    first, second = (hold("1 concurrent requests", patience_s=20) for _ in range(2))
    desk.do(first, second)

    desk.clock.advance(5)
    desk.change(lambda transaction: transaction.touch_directory())

    assert isinstance(desk.answers.pop(first.request_id), StaleDirectoryError)
    assert isinstance(desk.answers.pop(second.request_id), StaleDirectoryError)
    again = [
        hold("1 concurrent requests", request_id=call.request_id, version=2, patience_s=20)
        for call in (second, first)
    ]
    assert desk.do(*again) == [None, None]
    desk.do(void(running.request_id))
    granted = desk.answers[first.request_id]
    assert isinstance(granted, Granted)  # its turn, though it came back last
    assert granted.queue_ms == 5000
    assert second.request_id not in desk.answers


def test_only_so_many_may_wait(desk: Desk) -> None:
    desk.engine._waiting_max = 2
    limit = "1 concurrent requests"
    desk.one(hold(limit))

    answers = desk.do(*(hold(limit, patience_s=20) for _ in range(3)))

    assert [type(answer) for answer in answers] == [type(None), type(None), ServerBusyError]
    desk.do(ReleaseAll())
    assert [type(answer) for answer in desk.answers.values()].count(ServerBusyError) == 3


def test_a_failed_batch_puts_those_who_waited_back(desk: Desk) -> None:
    limit = "1 concurrent requests"
    running = desk.one(hold(limit))
    waiting = hold(limit, patience_s=20)
    desk.do(waiting)

    desk.do(void(running.request_id), fail=True)
    assert waiting.request_id not in desk.answers

    desk.do(void(running.request_id))
    assert isinstance(desk.answers[waiting.request_id], Granted)


# ── limits that come and go, windows that roll ───────────────────────────────────────────────────────────────────


def test_a_limit_added_later_counts_what_was_spent_in_its_running_window(desk: Desk) -> None:
    granted = desk.one(hold("$1/month"))
    desk.one(settlement(granted.request_id, Amounts(cost_nano=CENT, input_tokens=7)))
    still_open = desk.one(hold())

    state = desk.state(in_force("$0.05/day", "group"))

    assert (state.used, state.reserved) == (CENT, still_open.held.cost_nano)


def test_a_limit_sees_calls_of_its_own_batch_that_came_before_it(desk: Desk) -> None:
    """Section 6: every row exactly once, even when many requests touch it first together."""
    answers = desk.do(hold(), hold(), hold("3 requests/day"), hold("3 requests/day"))

    assert [type(answer) for answer in answers] == [
        Granted,
        Granted,
        Granted,
        RateLimitExceededError,
    ]


def test_a_kind_that_was_gone_for_a_while_misses_nothing(desk: Desk) -> None:
    limit = in_force("10 requests/minute")
    desk.do(hold(limit), hold(limit))
    desk.do(hold(), hold(), hold())  # no such limit now

    assert desk.state(limit).used == 5


def test_editing_an_amount_touches_no_counter(desk: Desk) -> None:
    desk.one(hold("$1/month"))
    before = desk.rows("SELECT * FROM counters")

    assert desk.state(in_force("$0.00/month")).limit.amount == 0
    assert desk.rows("SELECT * FROM counters") == before


def test_a_change_of_others_sends_nobody_back(desk: Desk) -> None:
    """D6: only who was changed since, or the workspace itself, is identified again."""
    mine = hold("$1 total")
    desk.change(
        partial(
            Transaction.touch_directory,
            workspace_id=mine.workspace_id,
            ids=["grp_other", "mem_other"],
        )
    )

    assert isinstance(desk.one(hold("$1 total")), Granted)

    for version, changed in enumerate((mine.key_id, mine.member_id, mine.group_id), start=3):
        desk.change(
            partial(Transaction.touch_directory, workspace_id=mine.workspace_id, ids=[changed])
        )
        assert isinstance(desk.one(hold("$1 total", version=version - 1)), StaleDirectoryError)
        assert isinstance(desk.one(hold("$1 total", version=version)), Granted)


def test_money_belongs_to_ids_and_not_to_secrets(desk: Desk) -> None:
    """M14: whatever happens to a key's secret or name, its counters are those of its id."""
    granted = desk.one(hold(in_force("$1 total", "key")))
    desk.one(settlement(granted.request_id, Amounts(cost_nano=CENT)))
    desk.change(lambda transaction: transaction.touch_directory())  # rotated, renamed

    assert desk.state(in_force("$1 total", "key")).used == CENT
    assert desk.rows("SELECT scope_id FROM counters WHERE scope_kind = 'key'") == [("key_a",)]


def test_a_call_counts_in_the_window_that_admitted_it(desk: Desk) -> None:
    limit = in_force("$1/day")
    granted = desk.one(hold(limit))
    desk.clock.advance(86_400)
    assert desk.state(limit).reserved == 0

    desk.one(settlement(granted.request_id, Amounts(cost_nano=CENT)))

    assert desk.state(limit).used == 0
    assert desk.rows("SELECT used, held FROM counters ORDER BY window_start") == [(CENT, 0)]


def test_a_change_of_zone_keeps_the_running_window(desk: Desk) -> None:
    limit = in_force("$1/day")
    granted = desk.one(hold(limit))
    moved = ZoneHistory.of("UTC").changed(desk.clock.now_us(), "Asia/Tokyo")

    state = desk.state(in_force("$1/day", zone=moved))

    assert state.reserved == granted.held.cost_nano
    assert desk.rows("SELECT count(*) FROM counters") == [(1,)]


def test_a_selector_binds_dated_snapshots_of_its_model(desk: Desk) -> None:
    limit = in_force("1 requests/day on gpt-4o")
    desk.one(hold(limit, model="gpt-4o-2024-08-06", aliases=("gpt-4o",)))
    desk.one(hold(model="gpt-4o-mini"))

    assert desk.state(limit).used == 1


# ── resets and corrections ───────────────────────────────────────────────────────────────────────────────────────


def test_a_reset_keeps_what_running_calls_hold_and_the_total(desk: Desk) -> None:
    texts = ("$1/month", "$1 total", "9 requests/minute", "3 concurrent requests")
    limits = [in_force(text) for text in texts]
    done = desk.one(hold(*limits))
    desk.one(settlement(done.request_id, Amounts(cost_nano=CENT)))
    running = desk.one(hold(*limits))

    reset(desk, ANNA.scope("member"))

    month, total, minute, calls = (desk.state(limit) for limit in limits)
    assert (month.used, month.reserved) == (0, running.held.cost_nano)
    assert (total.used, total.reserved) == (CENT, running.held.cost_nano)
    assert (minute.used, calls.reserved) == (1, 1)
    reset(desk, ANNA.scope("member"), with_total=True)
    assert desk.state(limits[1]).used == 0


def test_what_came_before_a_reset_never_comes_back(desk: Desk) -> None:
    limit = in_force("$1/month")
    done = desk.one(hold(limit))
    desk.one(settlement(done.request_id, Amounts(cost_nano=CENT)))
    reset(desk, ANNA.scope("member"))

    correct(desk, done.request_id, Amounts(cost_nano=3))
    desk.engine.books.drop()
    desk.change(lambda transaction: transaction.cursor.execute("DELETE FROM counters"))
    desk.engine.books.drop()

    assert desk.state(limit).used == 0
    assert desk.state(in_force("$1/month", "group")).used == 3


def test_a_correction_is_a_row_and_moves_counters_and_roll_up(desk: Desk) -> None:
    """M7."""
    limit = in_force("$1/month")
    done = desk.one(hold(limit))
    desk.one(settlement(done.request_id, Amounts(cost_nano=100, input_tokens=5)))
    row = desk.rows("SELECT * FROM requests")

    posted = correct(desk, done.request_id, Amounts(cost_nano=40, input_tokens=5), SYSTEM)

    assert posted.added_cost_nano == -60
    assert desk.rows("SELECT * FROM requests") == row
    assert desk.state(limit).used == 40
    assert desk.rows("SELECT requests, cost FROM usage_buckets") == [(1, 40)]
    with pytest.raises(ConflictError):
        correct(desk, done.request_id, Amounts(cost_nano=41), SYSTEM)


def test_only_a_settled_call_can_be_corrected(desk: Desk) -> None:
    running = desk.one(hold("$1/month"))

    with pytest.raises(ConflictError):
        correct(desk, running.request_id, NOTHING_USED)


# ── rows beside it ───────────────────────────────────────────────────────────────────────────────────────────────


def refused_row(error: str = "model_not_allowed") -> RefusedRow:
    return RefusedRow(
        request_id=f"req_refused_{error}",
        workspace_id="wsp_default",
        group_id="grp_a",
        member_id="mem_a",
        key_id="key_a",
        endpoint="chat.completions",
        model="gpt-9",
        error=error,
        http_status=403,
    )


def test_refusals_of_a_second_share_a_row(desk: Desk) -> None:
    desk.do(refused_row(), refused_row(), refused_row("key_paused"))
    desk.do(refused_row())
    query = "SELECT error, repeats FROM requests ORDER BY position"
    assert desk.rows(query) == [("model_not_allowed", 1), ("key_paused", 1)]

    due_s = desk.engine.wake_at_s()
    assert due_s is not None
    desk.clock.advance(due_s - desk.clock.monotonic_s())
    desk.do()

    assert desk.rows(query) == [("model_not_allowed", 3), ("key_paused", 1)]
    assert desk.engine.wake_at_s() is None
    assert desk.rows("SELECT count(*) FROM counters") == [(0,)]


def test_repeats_are_written_when_somebody_wants_to_read_them(desk: Desk) -> None:
    desk.do(refused_row(), refused_row(), WriteNotes())

    assert desk.rows("SELECT repeats FROM requests") == [(2,)]


def test_a_price_is_kept_as_it_was_when_first_used(desk: Desk) -> None:
    """M11."""
    desk.do(PinPrice("p1", "{}"), PinPrice("p1", "{changed}"))

    assert desk.rows("SELECT id, content FROM prices") == [("p1", "{}")]


def test_resolutions_come_once_whatever_is_sent(desk: Desk) -> None:
    """M6."""
    granted = desk.one(hold("$1/month"))
    first = desk.one(
        settlement(granted.request_id, Amounts(cost_nano=5), flags=frozenset({"estimated"}))
    )
    again = desk.one(settlement(granted.request_id, Amounts(cost_nano=9)))
    other = desk.one(void(granted.request_id))

    assert (first.is_first, again.is_first, other.is_first) == (True, False, False)
    assert first.position == again.position == other.position
    assert again.charged.cost_nano == 5
    assert desk.one(settlement("req_never", NOTHING_USED)) is None
    assert desk.rows("SELECT state, cost, flags FROM requests") == [("settled", 5, "estimated")]


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_open_at_a_crash_is_charged_at_its_bound(desk: Desk) -> None:
    """M4, R1."""
    limit = in_force("$0.000080/month")
    granted = desk.one(hold(limit, wanted=500))
    assert granted.lowered_by is not None

    desk.reopen()

    state = desk.state(limit)
    assert (state.used, state.reserved) == (granted.held.cost_nano, 0)
    assert desk.rows("SELECT state, cost, flags FROM requests") == [
        ("settled", granted.held.cost_nano, "clamped unconfirmed")
    ]
    assert desk.rows("SELECT requests, cost FROM usage_buckets") == [(1, granted.held.cost_nano)]


def test_what_was_never_reported_is_given_back(desk: Desk) -> None:
    """M15: the batch was written, but its commit failed for those who waited."""
    granted = desk.one(hold("$1/month"))
    operation = Reserve(hold("$1/month", request_id=granted.request_id), 0.0)
    desk.session.begin(desk.clock.now_us())

    desk.engine.load(desk.session.transaction, [Submission(operation)])
    desk.session.commit()

    assert desk.rows("SELECT state FROM requests") == [("voided",)]
    assert desk.state(in_force("$1/month")).reserved == 0


def test_the_books_are_closed_once_a_day(desk: Desk) -> None:
    limit = in_force("$1/month")
    running = desk.one(hold(limit, in_force("10 requests/minute")))
    for _ in range(4):
        desk.clock.advance(43_200)
        desk.do()
        desk.do()

    assert desk.rows("SELECT count(*) FROM closings") == [(2,)]
    assert desk.rows("SELECT count(*) FROM counters") == [(1,)]  # the minute is long gone
    desk.one(settlement(running.request_id, Amounts(cost_nano=7)))
    assert verify(desk.session.driver).differences == []


@pytest.mark.parametrize("admitted_after", [True, False])
def test_a_sub_window_that_leaves_at_the_very_closing_leaves_no_counter_behind(
    desk: Desk, admitted_after: bool
) -> None:
    """M8. Found by the million: whoever held something there is resolved when the counter is gone."""
    midnight_s = 1_874_793_600
    desk.clock.advance(midnight_s - 52 - desk.clock.now_us() / 1_000_000)
    limits = ("15 requests/minute", "12000 tokens/minute")
    first = desk.one(hold(*limits))
    desk.one(hold(*limits))

    desk.clock.advance(
        61
    )  # over midnight, to the first instant at which its sub-window no longer counts
    if admitted_after:
        assert isinstance(desk.one(hold(*limits)), Granted)
    desk.one(void(first.request_id))

    for full in (True, False):
        assert [str(d) for d in verify(desk.session.driver, full=full).differences] == []


def test_a_replay_from_a_closing_minds_resets_that_came_after_it(desk: Desk) -> None:
    """M8."""
    limit = in_force("$1/month")
    done, running, lasting = desk.do(hold(limit), hold(limit), hold(limit))
    desk.one(settlement(done.request_id, Amounts(cost_nano=70)))
    desk.clock.advance(86_400)
    desk.do()
    desk.one(settlement(running.request_id, Amounts(cost_nano=7)))
    reset(desk, ANNA.scope("member"))
    desk.one(settlement(lasting.request_id, Amounts(cost_nano=3)))
    correct(desk, done.request_id, Amounts(cost_nano=71))

    assert desk.rows("SELECT count(*) FROM closings") == [(1,)]
    assert desk.state(limit).used == 3
    assert [str(difference) for difference in verify(desk.session.driver).differences] == []


# ── verify ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (
            "UPDATE counters SET used = used - 1 WHERE metric = 'money'",
            "counter of member mem_a, money",
        ),
        ("UPDATE requests SET cost = cost + 5 WHERE state = 'settled'", "counter of member mem_a"),
        ("UPDATE usage_buckets SET requests = 9", "usage bucket"),
        ("DELETE FROM requests WHERE state = 'reserved'", "counter of member mem_a"),
        ("UPDATE requests SET resolved_position = NULL WHERE state = 'settled'", "request req_"),
    ],
)
def test_the_replay_finds_what_was_tampered_with(tmp_path: Path, tamper: str, where: str) -> None:
    """M8."""
    desk = Desk(tmp_path)
    done = desk.one(hold("$1/month", "5 requests/minute"))
    desk.one(settlement(done.request_id, Amounts(cost_nano=100)))
    desk.one(hold("$1/month", "5 requests/minute"))
    assert verify(desk.session.driver).differences == []

    desk.session.driver.execute(tamper)

    found = [str(difference) for difference in verify(desk.session.driver).differences]
    assert any(text.startswith(where) for text in found), found
    desk.close()
