"""Counters are kept in memory for so many scopes only: what is dropped is read again, and nothing is missed."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.ledger_kit import Desk, Person, hold, in_force, settlement
from tuckshop.domain.errors import RefusalError
from tuckshop.domain.reservation import Amounts, Granted
from tuckshop.ledger.verify import verify

PEOPLE = [Person(f"key_{number}", f"mem_{number}") for number in range(12)]
TEXTS = ("3 concurrent requests", "$1/day", "80 requests/minute")


def test_calls_of_more_people_than_memory_keeps_count_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M1, M8: calls begin and end while their counters come and go."""
    monkeypatch.setattr("tuckshop.ledger.counters.SCOPES_MAX", 6)
    monkeypatch.setattr("tuckshop.ledger.counters.EMPTY_MAX", 3)
    monkeypatch.setattr("tuckshop.ledger.books.LINEUPS_MAX", 3)
    chance = random.Random(5)
    desk = Desk(tmp_path)
    limits = {person: [in_force(text, person=person) for text in TEXTS] for person in PEOPLE}
    shared = in_force("$100/day", "group")
    calls = {person: hold(*limits[person], shared, person=person) for person in PEOPLE}
    running: list[tuple[Person, Granted]] = []
    money: Counter[Person] = Counter()
    concurrent: Counter[Person] = Counter()
    refused = 0

    for number in range(1_500):
        person = chance.choice(PEOPLE)
        desk.clock.advance(0.1)
        answer = desk.one(replace(calls[person], request_id=f"req_{number:04}"))
        if isinstance(answer, Granted):
            running.append((person, answer))
            concurrent[person] += 1
            money[person] += answer.held.cost_nano
        else:
            assert isinstance(answer, RefusalError)
            refused += 1
        if len(running) > 15:
            person, granted = running.pop(chance.randrange(len(running)))
            charged = Amounts(cost_nano=chance.randrange(1, 50_000))
            desk.one(settlement(granted.request_id, charged))
            concurrent[person] -= 1
            money[person] += charged.cost_nano - granted.held.cost_nano

    assert refused
    for person in PEOPLE:
        slots, cost, _ = (desk.state(limit) for limit in limits[person])
        assert slots.reserved == concurrent[person] <= 3
        assert cost.used + cost.reserved == money[person]
    assert desk.state(shared).used + desk.state(shared).reserved == money.total()
    assert verify(desk.session.driver, full=True).differences == []
    desk.close()


def test_a_scope_without_counters_is_asked_for_once(tmp_path: Path) -> None:
    """A key without limits of its own has none, and most keys are such."""
    desk = Desk(tmp_path)
    asked: list[str] = []
    call = hold("5 requests/day")
    desk.one(call)

    desk.session.driver.set_trace_callback(asked.append)
    for number in range(3):
        desk.one(replace(call, request_id=f"req_more_{number}"))
    desk.session.driver.set_trace_callback(None)

    assert not [query for query in asked if "SELECT" in query and "FROM counters" in query]
    desk.one(hold(in_force("9 requests/day", "key"), request_id="req_last"))
    assert desk.state(in_force("9 requests/day", "key")).used == 5, "it counts from its rows on"
    desk.close()
