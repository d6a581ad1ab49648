"""A key against its own past."""

from __future__ import annotations

import pytest

from tuckshop.domain.spending import is_unusual, usual_hour

CENT = 10_000_000


@pytest.mark.parametrize(
    ("past", "usual"),
    [
        ([], None),
        ([CENT, CENT], None),  # two hours are no past
        ([CENT, 0, 0, CENT, 0], None),  # nor are those in which nothing was spent
        ([CENT, 3 * CENT, 2 * CENT], 2 * CENT),
        ([CENT, 100 * CENT, CENT, CENT], CENT),  # one burst does not make bursts usual
        ([CENT, 2 * CENT, 3 * CENT, 4 * CENT], 2 * CENT),
    ],
)
def test_usual_is_the_median_of_the_hours_in_which_it_spends(
    past: list[int], usual: int | None
) -> None:
    assert usual_hour(past) == usual


@pytest.mark.parametrize(
    ("now", "usual", "is_so"),
    [
        (5 * CENT, CENT, True),
        (5 * CENT - 1, CENT, False),  # cheap
        (9 * CENT, 2 * CENT, False),
        (10 * CENT, 2 * CENT, True),
        (4 * CENT, 1, False),
    ],
)
def test_unusual_is_five_times_that_and_worth_a_look(now: int, usual: int, is_so: bool) -> None:
    assert is_unusual(now, usual) is is_so
