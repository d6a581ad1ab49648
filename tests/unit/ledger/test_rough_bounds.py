"""When a call is sent back to have its input counted, and when that would change nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.support.ledger_kit import hold, in_force
from tuckshop.domain.reservation import AtBest, Hold
from tuckshop.ledger.arithmetic import SLOT_OF, Standing, decide, is_too_rough


def rough(wanted: int | None = 500, at_best: int = 300) -> Hold:
    """A call of 2,500 tokens by its bytes, and of *at_best* if it were counted."""
    call = hold(wanted=wanted, input_tokens=2500)
    return replace(call, at_best=AtBest(at_best, call.terms))


def too_rough(call: Hold, *limits: tuple[str, int, int]) -> bool:
    standings = []
    for text, used, held in limits:
        limit = in_force(text)
        standings.append(Standing(limit, SLOT_OF[limit.limit.metric], used, held))
    return is_too_rough(call, decide(call, standings), standings)


@pytest.mark.parametrize(
    "limit",
    [
        ("1600 tokens/minute", 0, 0),  # could never fit
        ("1600 input tokens/minute", 0, 0),
        ("5000 tokens/minute", 4000, 0),  # what is used leaves no room
        ("5000 tokens/minute", 0, 3000),  # would wait for what is held
        ("2900 tokens/minute", 0, 0),  # would be lowered to 400
        ("$0.0005/month", 0, 0),  # 2,500 tokens alone cost 375,000 nano-USD: would be lowered
        ("$0.00036/month", 0, 0),  # and so would be refused
    ],
)
def test_what_counting_may_mend_is_sent_back(limit: tuple[str, int, int]) -> None:
    assert too_rough(rough(), limit)


@pytest.mark.parametrize(
    "limit",
    [
        ("3000 tokens/minute", 0, 0),  # fits as it is
        ("$1/month", 0, 0),
        ("1600 tokens/minute", 1590, 0),  # nothing fits any more
        ("$0.20/month", 199_999_999, 0),
        ("35 requests/minute", 35, 0),  # no matter of the input
        ("300 output tokens/day", 0, 0),
        ("4 concurrent requests", 0, 4),
    ],
)
def test_what_counting_cannot_mend_is_not(limit: tuple[str, int, int]) -> None:
    assert not too_rough(rough(), limit)


def test_an_exact_bound_stands() -> None:
    call = replace(rough(), at_best=None)

    assert not too_rough(call, ("1600 tokens/minute", 0, 0))


def test_a_full_request_limit_beside_it_spares_the_counting() -> None:
    assert not too_rough(rough(), ("1600 tokens/minute", 0, 0), ("1 request/minute", 1, 0))


def test_the_quarter_of_a_call_without_a_wish_is_no_reason_while_it_is_long_enough() -> None:
    assert not too_rough(rough(wanted=None), ("20000 tokens/day", 0, 0))
    assert too_rough(rough(wanted=None), ("3000 tokens/day", 0, 0))
