"""
Turns at a moderation service: so many questions in any minute, and none while it asks to wait.

Who waits is served member by member, so that somebody whose call is a book holds nobody up for longer than one
question, and nobody takes more of a minute than half of what the others leave: so there is always a turn left for who
asks for the first time in it. Holders' own calls of `/v1/moderations` go their own way and never take a turn here.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

from tuckshop.domain.clock import Clock

MINUTE_S: Final = 60.0
WAIT_MAX_S: Final = (
    60.0  # of what a service asks for: whoever asked for an hour would close us for an hour
)


class Turns:
    """
    Of one service. Belongs to one event loop.

    Args:
        per_minute: Questions in any 60 seconds.
        at_once: Questions that may be under way together.
    """

    def __init__(
        self, *, per_minute: int, at_once: int, clock: Clock, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._per_minute = per_minute
        self._at_once = at_once
        self._clock = clock
        self._loop = loop
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # whose turn it is stands first
        self._asked: deque[tuple[float, str]] = deque()  # when and for whom, of the last minute
        self._asked_of: Counter[str] = Counter()
        self._under_way = 0
        self._not_before_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Questions that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    async def take(self, asker: str) -> None:
        """Wait for a turn, which has to be given back. Cancelling gives up the place."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(asker, deque()).append(turn)
        self._advance()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came in the same moment
                self.give_back()
            else:
                self._forget(asker, turn)
            raise

    def give_back(self) -> None:
        """A question is answered, or given up."""
        self._under_way -= 1
        self._advance()

    def pause(self, seconds: float) -> None:
        """The service asks to wait."""
        wait_s = min(max(seconds, 0.0), WAIT_MAX_S)
        self._not_before_s = max(self._not_before_s, self._clock.monotonic_s() + wait_s)

    def close(self) -> None:
        """Nobody comes any more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _advance(self) -> None:
        """Give out the turns that there are."""
        while self._waiting and self._under_way < self._at_once:
            now_s = self._clock.monotonic_s()
            self._forget_minute(now_s)
            asker = self._next()
            if asker is None or now_s < self._not_before_s:
                # Whenever one falls out of the minute, everybody's share of it grows.
                full_s = self._asked[0][0] + MINUTE_S if asker is None else now_s
                self._wake_after(max(full_s, self._not_before_s) - now_s)
                return
            queue = self._waiting.pop(asker)
            turn = queue.popleft()
            if queue:
                self._waiting[asker] = queue  # behind all others
            if turn.done():  # cancelled a moment ago
                continue
            self._under_way += 1
            self._asked.append((now_s, asker))
            self._asked_of[asker] += 1
            turn.set_result(None)

    def _next(self) -> str | None:
        """Whose turn it is; None: the minute is full, or those who wait have had their share of it."""
        left = self._per_minute - len(self._asked)
        if left <= 0:
            return None
        own = self._asked_of
        return next((asker for asker in self._waiting if own[asker] < max(1, left)), None)

    def _forget_minute(self, now_s: float) -> None:
        while self._asked and self._asked[0][0] <= now_s - MINUTE_S:
            _, asker = self._asked.popleft()
            self._asked_of[asker] -= 1
            if not self._asked_of[asker]:
                del self._asked_of[asker]

    def _wake_after(self, seconds: float) -> None:
        if self._alarm is None:
            self._alarm = self._loop.call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        self._advance()

    def _forget(self, asker: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(asker)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[asker]
