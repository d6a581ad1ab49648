"""The machine's clocks, behind the `Clock` port."""

from __future__ import annotations

import time
from typing import Final

# Counts sleep on Linux; where there is no such clock, the monotonic one is the best there is.
_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """`domain.clock.Clock`, read from the operating system."""

    def now_us(self) -> int:
        """The wall clock in microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def boot_s(self) -> float:
        """Seconds since boot, sleep included."""
        return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
