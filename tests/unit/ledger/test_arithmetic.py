from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.ledger_kit import hold, in_force
from tuckshop.domain.reservation import Hold
from tuckshop.ledger.arithmetic import (
    SLOT_OF,
    Grant,
    Reason,
    Refuse,
    Standing,
    Wait,
    amounts_at,
    decide,
    fits_whole,
    most_of,
    vector_of,
)


def standing(text: str, used: int = 0, held: int = 0) -> Standing:
    limit = in_force(text)
    return Standing(limit, SLOT_OF[limit.limit.metric], used, held)


def granted(call: Hold, *standings: Standing) -> Grant:
    decision = decide(call, standings)
    assert isinstance(decision, Grant)
    return decision


def test_a_wish_that_fits_is_granted_whole() -> None:
    decision = granted(hold(wanted=500), standing("$1/month"))

    assert (decision.cap, decision.lowered_by) == (500, None)


def test_without_limits_and_without_a_wish_the_greatest_cap_is_granted() -> None:
    assert granted(hold(wanted=None, greatest=4096)).cap == 4096


def test_a_wish_is_lowered_to_what_the_money_buys() -> None:
    # 100 tokens of input cost 15_000 nano-USD, one of output 600.
    money = standing("$0.000045/month")

    decision = granted(hold(wanted=500), money)

    assert decision.cap == 50
    assert decision.lowered_by is money.limit
    assert decision.held.cost_nano == 45_000


def test_a_call_without_a_wish_holds_a_quarter_of_what_is_left() -> None:
    decision = granted(
        hold(wanted=None, greatest=16_384, input_tokens=0), standing("10000 output tokens/day")
    )

    assert decision.cap == 2500


def test_a_quarter_that_buys_less_than_1024_tokens_is_not_insisted_on() -> None:
    few = granted(hold(wanted=None, input_tokens=0), standing("1200 output tokens/day"))
    fewer = granted(hold(wanted=None, input_tokens=0), standing("700 output tokens/day"))

    assert (few.cap, fewer.cap) == (1024, 700)


def test_several_choices_share_what_is_left() -> None:
    decision = granted(hold(wanted=500, choices=4), standing("900 tokens/day"))

    assert decision.cap == 200
    assert decision.held.output_tokens == 800


def test_below_the_floor_it_is_refused_as_money() -> None:
    decision = decide(hold(wanted=500), [standing("$0.20/month", used=199_990_000)])

    assert isinstance(decision, Refuse)
    assert [reason for reason, _ in decision.by] == [Reason.QUOTA]


def test_what_is_only_held_is_waited_for() -> None:
    decision = decide(hold(), [standing("$0.20/month", held=199_990_000)])

    assert isinstance(decision, Wait)


def test_more_than_an_empty_limit_has_never_fits() -> None:
    decision = decide(hold(input_tokens=5000), [standing("1000 tokens/minute", used=10)])

    assert isinstance(decision, Refuse)
    assert decision.by[0][0] is Reason.NEVER_FITS


def test_a_full_request_limit_is_refused_not_waited_for() -> None:
    decision = decide(hold(), [standing("3 requests/minute", used=3)])

    assert isinstance(decision, Refuse)
    assert decision.by[0][0] is Reason.RATE


def test_a_full_concurrency_limit_is_waited_for() -> None:
    assert isinstance(decide(hold(), [standing("2 concurrent requests", held=2)]), Wait)


def test_a_limit_of_zero_blocks() -> None:
    for text in ("$0/month", "0 requests/day", "0 tokens/day", "0 concurrent requests"):
        assert isinstance(decide(hold(), [standing(text)]), Refuse), text


def test_a_limit_that_nothing_is_taken_from_never_stands_in_the_way() -> None:
    free = hold(input_nano=0, output_nano=0, wanted=0, greatest=0, input_tokens=0)

    decision = granted(
        free,
        standing("$0.10/month", used=500_000_000),
        standing("10 tokens/day", used=99),
        standing("10 output tokens/day", used=99),
        standing("1 images/day", used=99),
    )

    assert decision.cap == 0


def test_what_is_used_decides_before_what_is_held() -> None:
    decision = decide(
        hold(), [standing("2 concurrent requests", held=2), standing("1 requests/day", used=1)]
    )

    assert isinstance(decision, Refuse)


amounts = st.integers(min_value=0, max_value=10**7)


@given(
    amount=st.integers(min_value=1, max_value=10**9),
    used=amounts,
    held=amounts,
    input_tokens=st.integers(min_value=0, max_value=5000),
    wanted=st.none() | st.integers(min_value=1, max_value=20_000),
    choices=st.integers(min_value=1, max_value=4),
    prices=st.tuples(
        st.integers(min_value=0, max_value=10**10), st.integers(min_value=0, max_value=10**10)
    ),
    fees=st.integers(min_value=0, max_value=10**6),
    metric=st.sampled_from(["money", "tokens/day", "output tokens/day", "input tokens/day"]),
)
def test_what_is_granted_fits_and_one_token_more_would_not(
    amount: int,
    used: int,
    held: int,
    input_tokens: int,
    wanted: int | None,
    choices: int,
    prices: tuple[int, int],
    fees: int,
    metric: str,
) -> None:
    """M1: never over a limit; section 3: and never lowered by more than it has to be. The short cut says the same."""
    text = (
        f"${amount // 10**9}.{amount % 10**9:09}/day" if metric == "money" else f"{amount} {metric}"
    )
    call = hold(
        input_tokens=input_tokens,
        wanted=wanted,
        choices=choices,
        input_nano=prices[0],
        output_nano=prices[1],
        fees=fees,
    )
    limit = standing(text, used, held)
    room = amount - used - held

    decision = decide(call, [limit])

    def needed(cap: int) -> int:
        return vector_of(amounts_at(call, cap))[limit.slot]

    whole = most_of(call)
    if fits_whole(call, vector_of(amounts_at(call, whole)), [(limit.slot, room)]):
        assert decision == Grant(whole, None, amounts_at(call, whole))
    if isinstance(decision, Grant):
        assert needed(decision.cap) <= room or needed(decision.cap) == 0
        assert call.cap.least <= decision.cap <= min(wanted or 16_384, 16_384)
        if wanted is not None and decision.cap < min(wanted, 16_384):
            assert needed(decision.cap + 1) > room
    else:
        assert needed(call.cap.least) > room
        is_used = needed(call.cap.least) > amount - used
        assert isinstance(decision, Refuse) == is_used


def test_what_nothing_is_taken_from_is_no_reason_to_look_closer() -> None:
    call = hold(wanted=100)

    needed = vector_of(amounts_at(call, most_of(call)))
    rooms = [(SLOT_OF["images"], -1), (SLOT_OF["requests"], 1)]

    assert fits_whole(call, needed, rooms)
    assert not fits_whole(call, needed, [(SLOT_OF["requests"], 0)])
