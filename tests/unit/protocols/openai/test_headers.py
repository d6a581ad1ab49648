"""Header fields: allow-lists both ways, and limits in OpenAI's format (E4, K10)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.protocols.openai.states import DECEMBER_US, NOW_US, state
from tuckshop.domain.money import usd_text
from tuckshop.domain.reservation import LimitState
from tuckshop.protocols.openai.headers import (
    Telling,
    answer_headers,
    client_headers,
    field_value,
    go_duration,
    limit_headers,
    output_cap,
    upstream_headers,
)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0s"), (-5, "0s"), (1, "1ms"), (20_000, "20ms"), (1_000_000, "1s"), (7_660_000, "7.66s"),
        (360_000_000, "6m0s"), (3_612_500_000, "1h0m12.5s"), (999_999, "1s"), (31 * 86_400_000_000, "744h0m0s"),
    ],
)  # fmt: skip
def test_durations_are_printed_as_go_prints_them(us: int, text: str) -> None:
    assert go_duration(us) == text


@given(us=st.integers(0, 10**15))
def test_a_duration_reads_back_and_is_never_too_short(us: int) -> None:
    text = go_duration(us)

    units = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", text)
    read_ms = round(sum(float(number) * units[unit] for number, unit in parts))
    assert "".join(number + unit for number, unit in parts) == text
    assert us <= read_ms * 1000 < us + 1000


def test_the_tightest_limit_that_may_be_seen_is_told() -> None:
    states = [
        state("35 requests/minute", used=5, resets_at_us=NOW_US + 7_660_000),
        state("100 requests/day", used=90, reserved=2),
        state("50 requests/minute", used=49, visible=False),
        state("1600 tokens/minute", used=600, resets_at_us=NOW_US + 20_000),
        state("$0.20/month", used=1),
    ]

    assert limit_headers(states, NOW_US) == [
        (b"x-ratelimit-limit-requests", b"100"),
        (b"x-ratelimit-remaining-requests", b"8"),
        (b"x-ratelimit-reset-requests", go_duration(DECEMBER_US - NOW_US).encode()),
        (b"x-ratelimit-limit-tokens", b"1600"),
        (b"x-ratelimit-remaining-tokens", b"1000"),
        (b"x-ratelimit-reset-tokens", b"20ms"),
        (b"x-tuckshop-budget-remaining-usd", b"0.199999999"),
    ]


@pytest.mark.parametrize(
    "states",
    [
        [],
        [state("$1/day", scope="group")],
        [state("4 concurrent requests")],
        [state("5 rpm", visible=False)],
    ],
)
def test_without_such_a_limit_there_is_no_field(states: list[LimitState]) -> None:
    assert limit_headers(states, NOW_US) == []


def test_a_limit_that_never_renews_has_no_reset() -> None:
    names = [name for name, _ in limit_headers([state("5 requests total", resets_at_us=None)], 0)]

    assert names == [b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests"]


def test_the_budget_is_the_tightest_of_the_holders_own() -> None:
    states = [
        state("$0.20/month", used=15_000_000),
        state("$1 total", scope="key", used=10_000_000),
        state("$0.01/day", scope="group", used=9_000_000),
        state("5 rpm"),
    ]

    budget = (b"x-tuckshop-budget-remaining-usd", b"0.185")
    assert budget in limit_headers(states, NOW_US)
    assert b"x-tuckshop-budget-remaining-usd" not in dict(limit_headers(states[2:], NOW_US))


@given(
    amounts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=4)
)
def test_a_cost_takes_the_place_of_its_hold(amounts: list[tuple[int, int, int]]) -> None:
    """Of the budget alone; never more than there is, never less than nothing."""
    limits = [state(f"$0.00000000{amount}/day") for amount, _, _ in amounts]
    limits += [state("$1/day", scope="group"), state("9 requests/day")]
    readings = [(used, reserved, None, 0) for _, used, reserved in amounts] + [(0, 0, None, 0)] * 2

    told = dict(Telling(limits).fields(readings, NOW_US, held_nano=2, cost_nano=1))

    left = [a - used - 1 - max(0, reserved - 2) for a, used, reserved in amounts]
    assert told[b"x-ratelimit-remaining-requests"] == b"9"
    budget = told.get(b"x-tuckshop-budget-remaining-usd")
    assert budget == (usd_text(max(0, min(left))).encode() if left else None)


def answer(
    states: list[LimitState], lowered: LimitState | None, cap: int | None
) -> dict[bytes, bytes]:
    return dict(
        answer_headers(
            request_id="req_1",
            content_type=b"text/event-stream",
            is_stream=True,
            standing=limit_headers(states, NOW_US),
            upstream_request_id="req_up\r\nx: y",
            cost_usd="0.0001",
            output_cap=None
            if cap is None
            else output_cap(cap, lowered.limit if lowered else None, states),
        )
    )


def test_an_answer_carries_what_the_contract_lists() -> None:
    own = state("$0.20/month", used=15_000_000)

    fields = answer([own], own, 412)

    assert fields == {
        b"content-type": b"text/event-stream",
        b"x-request-id": b"req_1",
        b"x-content-type-options": b"nosniff",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
        b"x-tuckshop-upstream-request-id": b"req_up??x: y",
        b"x-tuckshop-budget-remaining-usd": b"0.185",
        b"x-tuckshop-cost-usd": b"0.0001",
        b"x-tuckshop-output-cap": b'412; limit="$0.20/month"',
    }


def test_a_limit_that_is_not_the_holders_to_see_is_named_by_its_scope() -> None:
    shared = state("$50/month", scope="group", visible=False)

    assert answer([shared], shared, 9)[b"x-tuckshop-output-cap"] == b'9; limit="group"'
    assert answer([], None, 9)[b"x-tuckshop-output-cap"] == b"9"


@given(text=st.text())
def test_no_text_breaks_out_of_a_field(text: str) -> None:
    assert all(0x20 <= byte <= 0x7E for byte in field_value(text))


def test_of_the_upstreams_fields_only_harmless_ones_pass() -> None:
    fields = [
        (b"content-type", b"application/json"), (b"set-cookie", b"a"), (b"openai-organization", b"org-1"),
        (b"x-ratelimit-limit-requests", b"1"), (b"retry-after", b"2"), (b"cf-ray", b"x"), (b"server", b"x"),
        (b"x-request-id", b"req_up"), (b"openai-project", b"proj_1"), (b"transfer-encoding", b"chunked"),
    ]  # fmt: skip

    assert client_headers(fields) == [
        (b"content-type", b"application/json"),
        (b"retry-after", b"2"),
    ]


def test_the_upstream_gets_our_credential_and_our_id() -> None:
    fields = dict(upstream_headers(credential="sk-real", request_id="req_1", stream=True))

    assert fields == {
        b"authorization": b"Bearer sk-real",
        b"content-type": b"application/json",
        b"accept": b"text/event-stream",
        b"x-client-request-id": b"req_1",
    }
