from __future__ import annotations

import time

from tuckshop.domain.clock import Clock
from tuckshop.system_clock import SystemClock


def test_the_machines_clocks_are_read() -> None:
    clock: Clock = SystemClock()

    assert abs(clock.now_us() - time.time_ns() // 1000) < 60_000_000
    assert clock.monotonic_s() <= clock.monotonic_s()
    assert clock.boot_s() <= clock.boot_s()
