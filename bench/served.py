"""
`tuckshop serve`, with how long each commit took written to a file: `python -m bench.served FILE`.

The histogram of `/metrics` tells it by classes only; a percentile needs each of them.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path
from typing import Final

from tuckshop.cli.main import cli
from tuckshop.metrics import Metrics

_COMMIT: Final = struct.Struct("dd")  # end on the monotonic clock, seconds it took


# What it needs besides the settings: it runs in the data folder's, and finds this package by it.
ENVIRONMENT: Final = {"PYTHONPATH": str(Path(__file__).parents[1])}


def command(file: Path) -> tuple[str, ...]:
    """To start it with."""
    return (sys.executable, "-m", "bench.served", str(file))


def commits_ms(file: Path, *, since_s: float) -> list[float]:
    """How long each commit took that ended after *since_s* of the monotonic clock; sorted."""
    data = file.read_bytes()
    data = data[: len(data) - len(data) % _COMMIT.size]
    return sorted(took_s * 1e3 for at_s, took_s in _COMMIT.iter_unpack(data) if at_s >= since_s)


def main() -> None:
    """Serve."""
    with open(sys.argv[1], "ab", buffering=0) as file:
        counted = Metrics.committed

        def committed(self: Metrics, size: int, seconds: float) -> None:
            counted(self, size, seconds)
            file.write(_COMMIT.pack(time.monotonic(), seconds))

        Metrics.committed = committed  # type: ignore[method-assign] # the one place where all are told
        cli(["serve"])


if __name__ == "__main__":
    main()
