"""How one amount is spread over many calls (M7)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.services.corrections import spread

BOUNDS = st.lists(st.integers(0, 10**12), max_size=40)


@given(bounds=BOUNDS, data=st.data())
def test_the_sum_is_exact_and_nobody_is_charged_less_than_0_or_more_than_before(
    bounds: list[int], data: st.DataObject
) -> None:
    total = data.draw(st.integers(0, sum(bounds)))

    shares = spread(total, bounds)

    assert sum(shares) == (total if bounds else 0)
    assert all(0 <= share <= bound for share, bound in zip(shares, bounds, strict=True))


def test_it_is_in_proportion() -> None:
    assert spread(30, [10, 20, 30]) == [5, 10, 15]
    assert spread(0, [10, 20]) == [0, 0]
    assert spread(30, [10, 20]) == [10, 20]
    assert spread(0, []) == []
