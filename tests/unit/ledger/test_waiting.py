from __future__ import annotations

import pytest

from tests.support.ledger_kit import ANNA, hold
from tuckshop.ledger.tallies import TallyKey
from tuckshop.ledger.waiting import Waiter, WaitingRoom
from tuckshop.storage.batch import Submission

MONEY: TallyKey = ("w", "member", "m", "money", "", "month")
CALLS: TallyKey = ("w", "member", "m", "concurrent requests", "", "now")


def arriving(room: WaitingRoom, *, at_s: float = 0.0, patience_s: float = 20.0) -> Waiter:
    call = hold(person=ANNA, patience_s=patience_s)
    return room.newcomer(call, Submission(call), at_s)


@pytest.fixture
def room() -> WaitingRoom:
    return WaitingRoom()


def test_those_who_came_first_are_first(room: WaitingRoom) -> None:
    first, second = arriving(room), arriving(room)
    room.stand(second, [MONEY])
    room.stand(first, [MONEY])

    assert room.first(MONEY) is first
    assert room.ahead_of(second.ticket, [MONEY, CALLS]) == (MONEY,)
    assert room.ahead_of(first.ticket, [MONEY, CALLS]) == ()


def test_who_moves_to_another_queue_frees_the_first(room: WaitingRoom) -> None:
    first, second = arriving(room), arriving(room)
    room.stand(first, [MONEY])
    room.stand(second, [MONEY])
    room.stand(first, [CALLS])

    assert room.first(MONEY) is second
    assert room.first(CALLS) is first


def test_who_leaves_is_nowhere(room: WaitingRoom) -> None:
    """M15."""
    waiter = arriving(room)
    room.stand(waiter, [MONEY, CALLS])
    room.leave(waiter)

    assert room.first(MONEY) is None
    assert room.next_wake_s() is None
    assert room.waiters == {}


def test_patience_ends_in_order(room: WaitingRoom) -> None:
    patient, hasty = arriving(room, patience_s=20), arriving(room, patience_s=5)
    room.stand(patient, [MONEY])
    room.stand(hasty, [MONEY])

    assert room.next_wake_s() == 5
    assert room.due(4.9) == []
    assert room.due(5.0) == [hasty]
    room.leave(hasty)
    assert room.due(20.0) == [patient]


def test_who_is_sent_back_keeps_its_place_and_its_patience(room: WaitingRoom) -> None:
    first, second = arriving(room, at_s=1.0), arriving(room, at_s=2.0)
    room.stand(second, [MONEY])
    room.stand(first, [MONEY])
    room.keep_place(first)
    room.leave(first)

    back = room.newcomer(first.hold, Submission(first.hold), 9.0)

    assert (back.ticket, back.arrived_s, back.deadline_s) == (first.ticket, 1.0, 21.0)


def test_a_transaction_that_failed_moved_nobody(room: WaitingRoom) -> None:
    stays, moves, leaves = arriving(room), arriving(room), arriving(room)
    for waiter in (stays, moves, leaves):
        room.stand(waiter, [MONEY])
    room.begin()

    room.stand(moves, [CALLS])
    room.leave(leaves)
    comes = arriving(room)
    room.stand(comes, [MONEY])
    room.leave(stays)
    room.undo()

    assert list(room.waiters.values()) == [stays, moves, leaves] or set(room.waiters.values()) == {
        stays,
        moves,
        leaves,
    }
    assert room.first(CALLS) is None
    assert room.first(MONEY) is stays
    assert room.ahead_of(leaves.ticket, [MONEY]) == (MONEY,)
    assert room.next_wake_s() == 20.0
