"""What another price list would change (M9, M11)."""

from __future__ import annotations

import pytest

from tests.unit.pricing.rows import LIST, chat, embedding
from tuckshop.pricing.differences import SET_HERE, Difference, differences, is_less
from tuckshop.pricing.prices import ModelPrice, PriceList


def compared(
    now: list[ModelPrice], other: list[ModelPrice], *, replace_own: bool = False
) -> dict[str, Difference]:
    prices = PriceList(now)
    found = differences(
        prices.find, [row.model for row in now], now, other, replace_own=replace_own
    )
    assert [one.model for one in found] == sorted(one.model for one in found)
    return {one.model: one for one in found}


def test_the_same_list_changes_nothing() -> None:
    assert compared(list(LIST.rows()), list(LIST.rows())) == {}


def test_what_is_new_what_differs_and_what_is_gone_are_told_apart() -> None:
    now = [chat(model="a"), chat(model="b"), chat(model="c")]
    other = [chat(model="a", source="elsewhere"), chat(model="b", input=5), chat(model="d")]

    found = compared(now, other)

    assert {one.model: one.action for one in found.values()} == {
        "b": "changed",
        "c": "gone",
        "d": "new",
    }
    assert found["b"].fields == ("input",)
    assert found["c"].put is None


@pytest.mark.parametrize("replace_own", [False, True])
def test_what_was_set_by_hand_stays_unless_it_is_said(replace_own: bool) -> None:
    found = compared(
        [chat(source=SET_HERE), chat(model="mine", source=SET_HERE)],
        [chat(input=1)],
        replace_own=replace_own,
    )

    if replace_own:
        assert found["test-chat"].action == "changed"
        assert found["mine"].action == "gone"
    else:
        assert [(one.action, one.put, one.is_less) for one in found.values()] == [
            ("kept", None, False)
        ]


def test_a_snapshot_that_costs_something_else_does_not_follow_its_model_unseen() -> None:
    """M11: an override of a model covers its listed snapshots, which may be dearer."""
    dear = chat(model="m-2024", base="m", input=5_000_000_000)
    same = chat(model="m-2025", base="m", input=1)
    gone = chat(model="m-2023", base="m", input=7)
    now = [chat(model="m"), dear, same, gone]

    found = compared(now, [chat(model="m", input=1), dear, same])

    assert found["m-2024"].put == dear
    assert "m-2025" not in found  # it costs what its model will cost
    assert (found["m-2023"].action, found["m-2023"].put) == ("pinned", gone)


@pytest.mark.parametrize(
    ("before", "after", "less"),
    [
        (chat(), chat(input=1), True),
        (chat(), chat(output=1), True),
        (chat(), chat(input=3_000_000_000, output=1), True),
        (chat(), chat(cached_input=1), True),  # unsaid, it costs what input costs
        (chat(cached_input=1), chat(), False),
        (chat(), chat(max_output_tokens=5), True),  # a smaller hold
        (chat(), chat(input=3_000_000_000), False),
        (chat(), chat(free=True, input=None, output=None), True),
        (None, chat(), False),
        (None, chat(free=True, input=None, output=None), True),
        (chat(free=True, input=None, output=None), chat(), False),
        (
            chat(long_context_start=10, long_input=2**40, long_output=2**40),
            chat(),
            True,
        ),
        (
            chat(long_context_start=10, long_input=2**40, long_output=2**40),
            chat(long_context_start=11, long_input=2**40, long_output=2**40),
            True,
        ),
        (embedding(), embedding(input=30_000_000), False),
        (chat(images="tiles-85-170"), chat(images="tiles-70-140"), True),
        (chat(search=True), chat(), True),
    ],
)
def test_a_price_is_less_if_anything_of_it_is(
    before: ModelPrice | None, after: ModelPrice, less: bool
) -> None:
    """M9: what falls, however little of it, is shown and asked about."""
    assert is_less(before, after) is less
