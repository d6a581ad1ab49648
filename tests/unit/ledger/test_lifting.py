"""The arithmetic of grants and carried money: nothing is made, nothing is given twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.money import MAX_NANO_USD
from tuckshop.ledger.lifting import (
    ENDLESS,
    GrantLine,
    Mark,
    carried_on,
    ground_of,
    in_order,
    owed_by,
    spread,
)

AMOUNTS = st.integers(0, 100)


def lines(*amounts: int) -> list[GrantLine]:
    return [GrantLine(f"ent_{n}", n, ENDLESS, amount) for n, amount in enumerate(amounts)]


@given(excess=st.integers(-10, 500), amounts=st.lists(AMOUNTS, max_size=5))
def test_no_grant_gives_more_than_it_has_and_all_no_more_than_is_owed(
    excess: int, amounts: list[int]
) -> None:
    grants = lines(*amounts)
    left = {grant.id: grant.amount for grant in grants}

    parts = list(spread(excess, grants, left))

    assert sum(part for _, part in parts) == max(0, min(excess, sum(amounts)))
    assert all(0 < part <= left[grant.id] for grant, part in parts)
    # Whoever gives comes after others that gave all they had.
    assert all(part == left[grant.id] for grant, part in parts[:-1])


@given(floor=AMOUNTS, lower=AMOUNTS, spent=st.integers(0, 300))
def test_lowering_an_amount_takes_nothing_more_and_raising_gives_back(
    floor: int, lower: int, spent: int
) -> None:
    before = ground_of(floor, spent, floor)

    after = ground_of(lower, spent, before.amount)

    if lower <= floor:
        assert after.above == before.above
    else:
        assert after.above == max(0, spent - lower)
    assert after.amount >= lower
    assert ground_of(lower, spent, after.amount) == after


def test_what_was_spent_before_grants_mattered_is_none_of_theirs() -> None:
    assert ground_of(10, 25, None) == (25, 0)
    assert ground_of(10, 5, None) == (10, 0)


def test_what_ended_grants_gave_becomes_the_windows_own() -> None:
    assert ground_of(10, 25, 10, ended=6) == (16, 9)


def test_a_ground_fits_into_its_column() -> None:
    assert ground_of(2 * MAX_NANO_USD, 0, None).amount == MAX_NANO_USD


@given(left=st.integers(-50, 300), most=AMOUNTS, amount=AMOUNTS, windows=st.integers(0, 400))
def test_what_is_carried_is_as_if_handed_on_window_by_window(
    left: int, most: int, amount: int, windows: int
) -> None:
    handed = min(most, max(0, left))
    for _ in range(windows):
        handed = min(most, amount + handed)

    assert carried_on(left, most, amount, range(windows)) == handed


def test_who_owes_for_a_window() -> None:
    """Those that were there in it and had not ended when its ground was written."""
    before, ended, lasting, later = (
        GrantLine("a", 0, 5, 1),
        GrantLine("b", 0, 15, 1),
        GrantLine("c", 12, ENDLESS, 1),
        GrantLine("d", 20, ENDLESS, 1),
    )
    mark = Mark(start_us=0, end_us=20, amount=0, at_us=10)

    assert owed_by((before, ended, lasting, later), mark) == [ended, lasting]
    assert owed_by((before, ended, lasting, later), mark, now_us=16) == [ended]
    assert in_order((lasting, later, ended, before)) == [before, ended, lasting, later]
