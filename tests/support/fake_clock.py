"""A clock that stands still until a test moves it."""

from __future__ import annotations


class FakeClock:
    """Wall, monotonic and boot clock in step; `advance` moves all three."""

    def __init__(self, now_us: int = 1_795_500_000_000_000) -> None:
        self.wall_us = now_us
        self.running_s = 1_000.0

    def now_us(self) -> int:
        """The wall clock."""
        return self.wall_us

    def monotonic_s(self) -> float:
        """Never goes back."""
        return self.running_s

    def boot_s(self) -> float:
        """Sleep included."""
        return self.running_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.wall_us += round(seconds * 1_000_000)
        self.running_s += seconds
