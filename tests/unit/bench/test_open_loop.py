"""Percentiles of what was measured."""

from __future__ import annotations

import pytest
from bench.open_loop import percentile


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.99, 99), (0.991, 100), (1, 100), (0.001, 1)]
)
def test_a_percentile_is_the_value_that_so_many_do_not_pass(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)
