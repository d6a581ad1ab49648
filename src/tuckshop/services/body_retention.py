"""Deletes kept bodies when their days are over: once a minute, by what each group says by then (P2)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tuckshop.domain.actor import SYSTEM
from tuckshop.domain.body_logging import Logging
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.keeping.keeper import Keeper
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.keeping.orders import EVERYTHING_US, Retention, Span
from tuckshop.services.directory import Directory
from tuckshop.services.holds import Holds
from tuckshop.tasks import spawn

FIRST_S: Final = 5.0  # after the start
EVERY_S: Final = 60.0
_DAY_US: Final = 86_400 * US_PER_SECOND


def span_of(logging: Logging, now_us: int) -> Span:
    """What a group that says *logging* keeps now. What it no longer says it keeps, it does not keep."""
    since_us = now_us - logging.days * _DAY_US
    return Span(
        flagged_since_us=EVERYTHING_US if logging.bodies == "off" else since_us,
        others_since_us=since_us if logging.bodies == "all" else EVERYTHING_US,
    )


def is_still_kept(body: KeptBody, logging: Logging, now_us: int) -> bool:
    """Whether the next look leaves *body* there."""
    span = span_of(logging, now_us)
    return body.at_us >= (span.flagged_since_us if body.is_flagged else span.others_since_us)


class BodyRetention:
    """Used on the loop alone."""

    def __init__(self, directory: Directory, keeper: Keeper, holds: Holds, clock: Clock) -> None:
        self._directory = directory
        self._holds = holds
        self._keeper = keeper
        self._clock = clock
        self._due_s = clock.monotonic_s() + FIRST_S
        self._tasks: set[asyncio.Task[Any]] = set()

    def look(self) -> None:
        """Once a second or so: begin, when it is time."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._due_s and not self._tasks:
            self._due_s = now_s + EVERY_S
            spawn(self.sweep(), name="delete old bodies", tasks=self._tasks)

    async def sweep(self) -> int:
        """Delete what is old enough and not held; how many bodies that were. It takes the place of one that runs."""
        held = await self._holds.in_force()
        now_us = self._clock.now_us()
        spans = {
            group.id: span_of(group.logging, now_us) for group in self._directory.groups(SYSTEM)
        }
        return await self._keeper.retain(
            Retention(spans=spans, held_groups=held.groups, held_members=held.members)
        )

    async def close(self) -> None:
        """Wait for what runs: the keeper ends it."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
