"""
The circuit to an upstream: open while it refuses our credential or has no money, so that no call is sent for nothing.

One refusal proves little (a gateway's own page, a model that the account may not use); several in a row, with no other
answer in between, do. An open circuit lets a call through now and then, to find out whether it may close. Such a turn
is taken by a call that is sent, and given back by one that is given up without an answer: else whoever has no money, or
always leaves, could take them all and keep the circuit open for everybody. A new credential comes with a new circuit.
"""

from __future__ import annotations

from typing import Final, Literal

Refusal = Literal["credential", "money"]

REFUSALS_MIN: Final = 5  # in a row
PAUSE_S: Final = 10.0  # between calls that try an open circuit


class Circuit:
    """
    Closed at first.

    Attributes:
        refused_for: Why we were refused last; None: the last answer was no refusal.
    """

    __slots__ = ("_refusals", "_try_at_s", "refused_for")

    def __init__(self) -> None:
        self._refusals = 0  # in a row
        self._try_at_s = 0.0
        self.refused_for: Refusal | None = None

    @property
    def is_open(self) -> bool:
        """Do calls end here?"""
        return self._refusals >= REFUSALS_MIN

    def may_let_through(self, now_s: float) -> bool:
        """Might a call go out, once its hold is taken?"""
        return self._refusals < REFUSALS_MIN or now_s >= self._try_at_s

    def lets_through(self, now_s: float) -> bool:
        """May this call go out, now? Where the circuit is open, it takes the turn."""
        if not self.may_let_through(now_s):
            return False
        self._try_at_s = now_s + PAUSE_S
        return True

    def unanswered(self) -> None:
        """A call that went out ended before the upstream answered: it is another's turn."""
        self._try_at_s = 0.0

    def answered(self) -> None:
        """The upstream answered, and did not refuse us."""
        self._refusals = 0
        self.refused_for = None

    def refused(self, now_s: float, why: Refusal = "credential") -> bool:
        """It refused us. Has that opened the circuit just now?"""
        self._refusals += 1
        self.refused_for = why
        self._try_at_s = now_s + PAUSE_S
        return self._refusals == REFUSALS_MIN
