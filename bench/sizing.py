"""How big a machine so many people need: plain arithmetic over the figures, its assumptions in one place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.cases import TUCKSHOP
from bench.figures import Group

PEOPLE: Final = (100, 1_000, 10_000)
CALLS_PER_DAY: Final = 20  # of each person
BUSY_HOUR_SHARE: Final = 0.25  # of a day's calls
PEAK_FACTOR: Final = 3  # the busiest minute over the average of the busiest hour
REPLY_TOKENS: Final = 300  # streamed, an event each
TOKENS_PER_S: Final = 50
CORE_SHARE: Final = 0.5  # of a core that may be in use at the peak, so that calls do not queue
DAYS: Final = 365
SYSTEM_MB: Final = 256  # for the system and a proxy in front
MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Needs:
    """What the figures say that a server takes."""

    call_us: float  # CPU of a plain call
    event_us: float  # CPU of an event, its part of the call included
    idle_mb: float
    member_mb: float  # memory of a member with a key
    stream_mb: float  # memory of an open stream
    call_bytes: float  # disk of a call, its part of the usage report included
    member_bytes: float  # disk of a member with a key and its counters

    @classmethod
    def of(cls, groups: Mapping[str, Group]) -> Needs | None:
        """From the figures; None while one is missing."""

        def get(group: str, case: str) -> float:
            found = groups[group].get(case, TUCKSHOP)
            if found is None:
                raise KeyError(case)
            return found

        try:
            idle, members = get("crowd", "rss-idle"), get("crowd", "rss-members")
            return cls(
                call_us=get("requests", "chat-32"),
                event_us=get("events", "event-1000"),
                idle_mb=idle,
                member_mb=(members - idle) / 10_000,
                stream_mb=get("crowd", "rss-streams") / 1_000,
                # At worst every call is the only one of its key within a quarter of an hour.
                call_bytes=get("disk", "disk-row") + get("disk", "disk-bucket"),
                member_bytes=get("disk", "disk-member") + get("disk", "disk-counters"),
            )
        except KeyError:
            return None


def assumptions() -> str:
    """What is assumed, as a list."""
    return (
        f"- A person makes {CALLS_PER_DAY} calls a day, every day of the year.\n"
        f"- {BUSY_HOUR_SHARE:.0%} of a day's calls fall into its busiest hour, and the busiest minute has {PEAK_FACTOR}"
        " times that hour's average.\n"
        f"- Every reply is streamed, {REPLY_TOKENS} events at {TOKENS_PER_S} per second, so a stream is open for"
        f" {REPLY_TOKENS / TOKENS_PER_S:g} s.\n"
        f"- At the peak {CORE_SHARE:.0%} of a core is in use, so that calls do not queue.\n"
        f"- The system and a front proxy take {SYSTEM_MB} MB; memory is rounded up to the next size that is sold.\n"
    )


def capacity(groups: Mapping[str, Group]) -> str:
    """What one core carries, and what 100,000 calls leave on the disk."""
    needs = Needs.of(groups)
    if needs is None:
        return "Not measured yet.\n"
    rows = (
        ("plain chat requests per second, one core fully used", f"{1e6 / needs.call_us:,.0f}"),
        ("events of streams per second, one core fully used", f"{1e6 / needs.event_us:,.0f}"),
        (
            f"streams of {TOKENS_PER_S} tokens per second, one core fully used",
            f"{1e6 / needs.event_us / TOKENS_PER_S:,.0f}",
        ),
        ("memory of an idle server", f"{needs.idle_mb:.0f} MB"),
        ("memory of 1,000 members with a key each", f"{needs.member_mb * 1000:.1f} MB"),
        ("memory of 1,000 open streams", f"{needs.stream_mb * 1000:.0f} MB"),
        ("disk of 100,000 calls", f"{needs.call_bytes * 1e5 / MB:.0f} MB"),
        (
            "disk of 1,000 members, their keys, audit rows and counters",
            f"{needs.member_bytes * 1e3 / MB:.1f} MB",
        ),
    )
    return _table(("what", "figure"), rows)


def people(groups: Mapping[str, Group]) -> str:
    """The machine, by the number of people."""
    needs = Needs.of(groups)
    if needs is None:
        return "Not measured yet.\n"
    head = (
        *("people", "calls a day", "calls/s at the peak", "streams open then", "of one core"),
        *("memory", "disk in a year", "machine"),
    )
    return _table(head, [_row(count, needs) for count in PEOPLE])


def _row(count: int, needs: Needs) -> tuple[str, ...]:
    a_day = count * CALLS_PER_DAY
    peak = a_day * BUSY_HOUR_SHARE / 3600 * PEAK_FACTOR
    streams = peak * REPLY_TOKENS / TOKENS_PER_S
    core = peak * REPLY_TOKENS * needs.event_us / 1e6
    memory_mb = needs.idle_mb + count * needs.member_mb + streams * needs.stream_mb
    disk_gb = (a_day * DAYS * needs.call_bytes + count * needs.member_bytes) / 1e9
    return (
        f"{count:,}",
        f"{a_day:,}",
        f"{peak:.1f}",
        f"{math.ceil(streams):,}",
        f"{core:.0%}" if core >= 0.01 else "under 1%",
        f"{memory_mb:.0f} MB",
        f"{disk_gb:.1f} GB",
        _machine(core, memory_mb),
    )


def _machine(core: float, memory_mb: float) -> str:
    # One process: its loop and its writer share an interpreter, so a second core serves the system and the front proxy.
    cores = "1 core" if core <= CORE_SHARE / 2 else "2 cores"
    if core > CORE_SHARE:
        cores += ", over the assumed load"
    wanted = 2 ** math.ceil(math.log2(max(512.0, 2 * memory_mb + SYSTEM_MB)))
    return f"{cores}, {f'{wanted // 1024} GB' if wanted >= 1024 else f'{wanted} MB'}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
