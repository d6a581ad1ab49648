"""
Sends a reply at its speed and bills each piece before it goes.

Callbacks of the loop and no tasks: a thousand open streams are a thousand timers. Generating and sending are apart:
what a slow client has not read yet, or one that left never will, is billed as it is generated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from tuckshop.mock_upstream.bill import BillEntry
from tuckshop.mock_upstream.connection import Exchange
from tuckshop.mock_upstream.script import Script
from tuckshop.mock_upstream.wire import Act, Wire

_AT_ONCE: Final = 16  # frames written before the loop gets a turn
_ALL: Final = 1 << 60
_RESET_AFTER_S: Final = (
    0.02  # what was sent before a reset should arrive: a reset discards what is still under way
)


class Delivery:
    """One reply on its way."""

    def __init__(
        self,
        exchange: Exchange,
        wire: Iterator[Wire],
        *,
        script: Script,
        entry: BillEntry | None,
        run_ahead_tokens: int,
        after_leave_tokens: int | None,
        on_done: Callable[[], None],
    ) -> None:
        """
        Args:
            run_ahead_tokens: How much is generated for a client that does not read.
            after_leave_tokens: How much is generated for a client that has left; None: all.
            on_done: Called once, when nothing is left to generate or to send.
        """
        self.held = script.before_head == "hang"
        self._exchange = exchange
        self._wire = wire
        self._script = script
        self._entry = entry
        self._run_ahead = run_ahead_tokens
        self._after_leave = after_leave_tokens
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        speed = script.tokens_per_second
        self._interval_s = 1 / speed if speed else script.piece_gap_s
        self._at_once = 1 if script.piece_bytes else _AT_ONCE
        self._tokens = 0
        self._stop_at: int | None = None  # in tokens, once the client has left
        self._stalled_at: int | None = None  # in tokens, while the client does not read
        self._waits_for_reader = False
        self._pending: Wire | None = None  # waits for its turn in lock-step
        self._credits = 1  # events that may pass in lock-step
        self._next_at = 0.0
        self._timer: asyncio.Handle | None = None
        exchange.on_gone = self._left
        exchange.on_writable = self._read_again

    def start(self) -> None:
        """Begin, after the script's first delay."""
        self._next_at = self._loop.time() + self._script.first_delay_s
        if self._script.first_delay_s:
            self._timer = self._loop.call_at(self._next_at, self._run)
        elif not self.held:
            self._run()

    def release(self, events: int | None = None) -> None:
        """Let *events* more pass in lock-step, or all; and end a hang."""
        self._credits = _ALL if events is None else self._credits + events
        if self.held and (self._script.lockstep or events is None):
            self.held = False
            self._run()

    def stop(self) -> None:
        """The server is closing: generate no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._over("cut")

    def _run(self) -> None:
        """Generate, send in one write what was generated, and see how it goes on."""
        self._timer = None
        out: list[bytes] = []
        then = self._generate(out)
        if out:
            self._exchange.write(b"".join(out))
        then()

    def _generate(self, out: list[bytes]) -> Callable[[], None]:
        """Generate into *out* until something must be waited for; what to do once it is sent."""
        script, entry = self._script, self._entry
        for _ in range(self._at_once):
            if self.held or self._must_wait_for_reader():
                return _nothing
            frame = self._pending or next(self._wire, None)
            if frame is None:
                return self._complete
            tokens, data = frame
            if script.lockstep and data and not self._exchange.gone and not self._take_turn():
                self._pending = frame
                return _nothing
            self._pending = None
            advanced = tokens > self._tokens
            if advanced:
                self._tokens = tokens
                if entry is not None:
                    entry.piece(tokens)
            if isinstance(data, Act):
                if not self._exchange.gone:
                    return partial(self._play, data)
            elif data:
                out.append(data)
            if self._stop_at is not None and tokens >= self._stop_at:
                return self._abandon
            if self._interval_s and (advanced or (data and script.piece_gap_s)):
                break
        return self._schedule

    def _take_turn(self) -> bool:
        if self._credits <= 0:
            self.held = True
            return False
        self._credits -= 1
        return True

    def _must_wait_for_reader(self) -> bool:
        if self._exchange.writable or self._exchange.gone:
            return False
        if self._stalled_at is None:
            self._stalled_at = self._tokens
        self._waits_for_reader = self._tokens - self._stalled_at >= self._run_ahead
        return self._waits_for_reader

    def _play(self, act: Act) -> None:
        """Do what the script wants done here. The rest follows from the client's being gone, or from a release."""
        if act is Act.HANG:
            self.held = True
        elif act is Act.RESET:
            self._loop.call_later(_RESET_AFTER_S, self._exchange.reset)
        else:
            self._exchange.close()

    def _complete(self) -> None:
        self._over("done")

    def _abandon(self) -> None:
        self._over("left")

    def _schedule(self) -> None:
        if self._interval_s:
            # A fixed grid, so that speeds are kept; with little to catch up, so that a pause is no burst.
            behind = self._loop.time() - 4 * self._interval_s
            self._next_at = max(self._next_at + self._interval_s, behind)
            self._timer = self._loop.call_at(self._next_at, self._run)
        else:
            self._timer = self._loop.call_soon(self._run)

    def _read_again(self) -> None:
        self._stalled_at = None
        if self._waits_for_reader:
            self._waits_for_reader = False
            self._run()

    def _left(self) -> None:
        """The client has gone. What comes now is only billed."""
        if not self._script.tokens_per_second:
            self._interval_s = 0.0
        if self._after_leave is not None:
            self._stop_at = self._tokens + self._after_leave
        self.held = self._waits_for_reader = False
        if self._timer is None:
            self._timer = self._loop.call_soon(self._run)

    def _over(self, why: str) -> None:
        if self._entry is not None:
            self._entry.end(why)
        exchange = self._exchange
        exchange.on_gone = exchange.on_writable = None
        self._on_done()
        exchange.end()


def _nothing() -> None:
    """Wait."""
