from __future__ import annotations

import pytest

from tests.support.ledger_kit import in_force
from tuckshop.domain.reservation import LimitInForce, LimitState
from tuckshop.domain.windows import free_at_us, subwindow_start
from tuckshop.ledger.arithmetic import SLOT_OF, Standing
from tuckshop.ledger.refusals import free_again_us, state_of
from tuckshop.ledger.tallies import FOREVER, Tally

SECOND = 1_000_000
NOW = 1_795_500_000 * SECOND
KEY = ("wsp_default", "member", "mem_a")


def tally_of(limit: LimitInForce, *counters: tuple[int, int, int, int]) -> Tally:
    tally = Tally(KEY, limit.limit.kind)
    for counter in counters:
        tally.put(*counter)
    return tally


def rolling(limit: LimitInForce, *used_at: tuple[int, int]) -> Tally:
    tally = Tally(KEY, limit.limit.kind)
    assert tally.rolling is not None
    for at_us, used in used_at:
        start_us = subwindow_start(tally.rolling, at_us)
        tally.put(start_us, free_at_us(tally.rolling, start_us), used, 0)
    return tally


def standing(limit: LimitInForce, tally: Tally) -> Standing:
    return Standing(limit, SLOT_OF[limit.limit.metric], tally.used, tally.held)


def test_a_state_has_every_field() -> None:
    limit = in_force("$1/month")
    state = state_of(limit, tally_of(limit, (0, NOW + 5, 7, 8)), NOW)

    assert state == LimitState(
        limit=limit.limit,
        scope=limit.scope,
        used=7,
        reserved=8,
        resets_at_us=NOW + 5,
        amounts_visible=True,
        zone_name="UTC",
    )


def test_what_never_renews_says_so() -> None:
    for text in ("$1 total", "3 concurrent requests"):
        limit = in_force(text)
        assert state_of(limit, tally_of(limit, (0, FOREVER, 1, 1)), NOW).resets_at_us is None


def test_a_rolling_window_is_free_when_its_youngest_has_left() -> None:
    limit = in_force("10 requests/minute")

    state = state_of(limit, rolling(limit, (NOW - 30 * SECOND, 2), (NOW, 1)), NOW)

    assert (state.used, state.resets_at_us) == (3, NOW + 61 * SECOND)


@pytest.mark.parametrize(("needed", "after_s"), [(1, 0), (2, 31), (4, 61), (5, None)])
def test_room_returns_as_sub_windows_leave(needed: int, after_s: int | None) -> None:
    limit = in_force("4 requests/minute")
    tally = rolling(limit, (NOW - 30 * SECOND, 2), (NOW, 1))

    at_us = free_again_us(standing(limit, tally), tally, needed, NOW)

    assert at_us == (FOREVER if after_s is None else NOW + after_s * SECOND)
