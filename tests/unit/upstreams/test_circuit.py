"""The circuit to an upstream that refuses us (section 10)."""

from __future__ import annotations

from tuckshop.upstreams.circuit import PAUSE_S, REFUSALS_MIN, Circuit


def opened() -> Circuit:
    circuit = Circuit()
    told = [circuit.refused(100.0) for _ in range(REFUSALS_MIN)]
    assert told == [False] * (REFUSALS_MIN - 1) + [True]
    return circuit


def test_it_opens_after_refusals_in_a_row_only() -> None:
    circuit = Circuit()
    for _ in range(3):
        for _ in range(REFUSALS_MIN - 1):
            circuit.refused(1.0)
        assert circuit.lets_through(1.0)
        circuit.answered()
    assert not circuit.is_open


def test_an_open_one_lets_a_call_through_now_and_then() -> None:
    circuit = opened()

    assert circuit.is_open
    assert not circuit.lets_through(100.0)
    assert not circuit.lets_through(100.0 + PAUSE_S - 0.1)
    assert circuit.lets_through(100.0 + PAUSE_S)
    assert not circuit.lets_through(100.0 + PAUSE_S + 0.1)  # one at a time


def test_asking_takes_no_turn_and_a_call_without_an_answer_gives_it_back() -> None:
    """Section 10: whoever has no money, or leaves at once, keeps nobody out."""
    circuit = opened()
    now_s = 100.0 + PAUSE_S

    assert circuit.may_let_through(now_s)
    assert circuit.lets_through(now_s)
    assert not circuit.may_let_through(now_s)

    circuit.unanswered()

    assert circuit.lets_through(now_s)


def test_it_closes_with_the_first_answer_and_stays_open_with_another_refusal() -> None:
    circuit = opened()
    assert circuit.lets_through(200.0)
    assert not circuit.refused(200.0)  # told once
    assert not circuit.lets_through(200.1)

    circuit.answered()

    assert circuit.lets_through(200.2)
