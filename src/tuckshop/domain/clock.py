"""The clock, as a port: whatever needs the time is handed one of these."""

from __future__ import annotations

from typing import Final, Protocol

US_PER_SECOND: Final = 1_000_000


class Clock(Protocol):
    """Three readings, each for its own purpose."""

    def now_us(self) -> int:
        """The wall clock: microseconds since 1970-01-01 UTC. May jump. For windows and time stamps."""

    def monotonic_s(self) -> float:
        """Seconds that never go backwards; stops while the machine sleeps. For durations and deadlines."""

    def boot_s(self) -> float:
        """Seconds since boot, sleep included. Tells whether a jump of the wall clock was real time."""
