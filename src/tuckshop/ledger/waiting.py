"""
Who waits for what: one queue per counter, in order of arrival.

A call that waits stands in the queue of every limit that has no room for it now. A newcomer that takes from a limit
somebody waits on stands behind them, though it might fit. Pure: knows tickets and times, decides nothing.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from tuckshop.domain.reservation import Hold
from tuckshop.ledger.tallies import TallyKey
from tuckshop.storage.batch import Submission

PLACES_MAX: Final = 20_000

_ticket: Final = attrgetter("ticket")


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that waits to be admitted."""

    ticket: int
    hold: Hold
    submission: Submission
    arrived_s: float
    deadline_s: float
    keys: tuple[TallyKey, ...] = field(default=())  # the queues it stands in


class WaitingRoom:
    """The queues. Everything since `begin` can be undone."""

    def __init__(self) -> None:
        self.waiters: dict[str, Waiter] = {}  # by request id
        self._queues: dict[TallyKey, list[Waiter]] = {}
        self._wakes: list[tuple[float, int, str]] = []  # heap: (when, ticket, request id)
        self._next_ticket = 1
        self._places: dict[str, tuple[int, float]] = {}  # of those sent back to be identified again
        self._journal: list[tuple[Waiter, tuple[TallyKey, ...] | None]] = []

    def begin(self) -> None:
        """A transaction is open: remember from here."""
        self._journal.clear()

    def undo(self) -> None:
        """Back to where `begin` found it."""
        for waiter, keys in reversed(self._journal):
            self._take_out(waiter)
            if keys is not None:
                self._put_in(waiter, keys)
                self.wake_at(waiter, waiter.deadline_s)  # the wake it had may have been used up
        self._journal.clear()

    def newcomer(self, hold: Hold, submission: Submission, arrived_s: float) -> Waiter:
        """A ticket for a call that arrives; the old one, if it was only sent back to be identified again."""
        ticket, arrived_s = self._places.pop(hold.request_id, (self._next_ticket, arrived_s))
        if ticket == self._next_ticket:
            self._next_ticket += 1
        return Waiter(ticket, hold, submission, arrived_s, arrived_s + hold.patience_s)

    def stand(self, waiter: Waiter, keys: Iterable[TallyKey]) -> None:
        """Let *waiter* wait in these queues, and no others; at the place its ticket gives it."""
        old = waiter.keys if waiter.hold.request_id in self.waiters else None
        new = tuple(dict.fromkeys(keys))
        if old == new:
            return
        self._journal.append((waiter, old))
        if old is None:
            self.wake_at(waiter, waiter.deadline_s)
        else:
            self._take_out(waiter)
        self._put_in(waiter, new)

    def leave(self, waiter: Waiter) -> None:
        """*waiter* waits no more."""
        self._journal.append((waiter, waiter.keys))
        self._take_out(waiter)

    def keep_place(self, waiter: Waiter) -> None:
        """Should it come back with the same request id, it gets its place in the queue again."""
        if len(self._places) >= PLACES_MAX:
            self._places.clear()
        self._places[waiter.hold.request_id] = (waiter.ticket, waiter.arrived_s)

    def ahead_of(self, ticket: int, keys: Iterable[TallyKey]) -> tuple[TallyKey, ...]:
        """Those of *keys* on which somebody waits who came before *ticket*."""
        if not self._queues:
            return ()
        return tuple(
            key for key in keys if (queue := self._queues.get(key)) and queue[0].ticket < ticket
        )

    def first(self, key: TallyKey) -> Waiter | None:
        """Whose turn it is at this counter."""
        queue = self._queues.get(key)
        return queue[0] if queue else None

    def wake_at(self, waiter: Waiter, at_s: float) -> None:
        """Look at *waiter* again at this (monotonic) time."""
        heapq.heappush(self._wakes, (at_s, waiter.ticket, waiter.hold.request_id))

    def next_wake_s(self) -> float | None:
        """When somebody has to be looked at."""
        while self._wakes and self._is_gone(self._wakes[0]):
            heapq.heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def due(self, now_s: float) -> list[Waiter]:
        """Whom to look at now, in order of arrival."""
        found: dict[str, Waiter] = {}
        while self._wakes and self._wakes[0][0] <= now_s:
            wake = heapq.heappop(self._wakes)
            if not self._is_gone(wake):
                found[wake[2]] = self.waiters[wake[2]]
        return sorted(found.values(), key=_ticket)

    def clear(self) -> list[Waiter]:
        """Everybody leaves, and nothing is remembered."""
        everybody = sorted(self.waiters.values(), key=_ticket)
        self.waiters.clear()
        self._queues.clear()
        self._wakes.clear()
        self._journal.clear()
        return everybody

    def _is_gone(self, wake: tuple[float, int, str]) -> bool:
        waiter = self.waiters.get(wake[2])
        return waiter is None or waiter.ticket != wake[1]

    def _put_in(self, waiter: Waiter, keys: tuple[TallyKey, ...]) -> None:
        self.waiters[waiter.hold.request_id] = waiter
        waiter.keys = keys
        for key in keys:
            insort(self._queues.setdefault(key, []), waiter, key=_ticket)

    def _take_out(self, waiter: Waiter) -> None:
        if self.waiters.pop(waiter.hold.request_id, None) is None:
            return
        for key in waiter.keys:
            queue = self._queues[key]
            queue.remove(waiter)
            if not queue:
                del self._queues[key]
        waiter.keys = ()
