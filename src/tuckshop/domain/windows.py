"""Windows: which stretch of time a limit counts over, in the zone of the people it is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZoneHistory:
    """
    The IANA zone in force, and those before it: after a change the running window keeps its end.

    `changes` is (since_us, zone name), oldest first; the first one has since_us 0.
    """

    changes: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """One window: [start_us, end_us)."""

    id: str  # "2026-11", "2026-11-24", "2026-W48", "2026", "total"; unique and contiguous
    start_us: int
    end_us: int | None  # None: `total`
