"""What a resolution moves is what its row adds afterwards, less what it added before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.arithmetic import NOTHING, Vector
from tuckshop.ledger.contributions import (
    open_vectors,
    settled_vector,
    settling_vectors,
    voiding_vectors,
)

four = st.tuples(*[st.integers(min_value=0, max_value=2**40)] * 4)


def difference(after: Vector, before: Vector) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(after, before, strict=True))


@given(held=four, charged=four)
def test_a_settlement_moves_counters_from_what_was_held_to_what_was_used(
    held: tuple[int, int, int, int], charged: tuple[int, int, int, int]
) -> None:
    """M6, M8: counters follow the row, whatever was held and whatever is charged."""
    used_before, held_before = open_vectors(*held)
    cost, inputs, outputs, images = charged
    amounts = Amounts(cost_nano=cost, input_tokens=inputs, output_tokens=outputs, images=images)

    moved = settling_vectors(*held, amounts)

    assert moved == (
        difference(settled_vector(*charged), used_before),
        difference(NOTHING, held_before),
    )


@given(held=four)
def test_a_void_moves_counters_back_to_where_they_were(held: tuple[int, int, int, int]) -> None:
    """M6: nothing of it is left."""
    used_before, held_before = open_vectors(*held)

    assert voiding_vectors(*held) == (
        difference(NOTHING, used_before),
        difference(NOTHING, held_before),
    )
