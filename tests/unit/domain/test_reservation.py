from __future__ import annotations

import pytest

from tuckshop.domain.limits import Metric, parse_limit
from tuckshop.domain.reservation import (
    TRANSITIONS,
    Amounts,
    LimitState,
    ReservationState,
    Scope,
)


def test_every_state_says_where_it_leads() -> None:
    assert set(TRANSITIONS) == set(ReservationState)


def test_only_a_reserved_row_has_a_way_on_and_each_way_is_an_end() -> None:
    """M6: one resolution."""
    ends = TRANSITIONS[ReservationState.RESERVED]

    assert ends == {ReservationState.SETTLED, ReservationState.VOIDED, ReservationState.BLOCKED}
    assert all(not TRANSITIONS[state] for state in ReservationState if state != "reserved")


@pytest.mark.parametrize(
    ("metric", "amount"),
    [
        (Metric.MONEY, 7),
        (Metric.TOKENS, 30),
        (Metric.INPUT_TOKENS, 10),
        (Metric.OUTPUT_TOKENS, 20),
        (Metric.IMAGES, 3),
        (Metric.REQUESTS, 1),
        (Metric.CONCURRENCY, 1),
    ],
)
def test_one_request_counts_in_every_metric(metric: Metric, amount: int) -> None:
    amounts = Amounts(cost_nano=7, input_tokens=10, output_tokens=20, images=3)

    assert amounts.of(metric) == amount


@pytest.mark.parametrize(("used", "reserved", "remaining"), [(3, 2, 5), (10, 0, 0), (12, 1, 0)])
def test_what_remains_is_never_negative(used: int, reserved: int, remaining: int) -> None:
    state = LimitState(
        limit=parse_limit("10 requests/day"),
        scope=Scope("member", "mem_1"),
        used=used,
        reserved=reserved,
        resets_at_us=0,
        amounts_visible=True,
    )

    assert state.remaining == remaining
