"""Long changes by transactions of a few rows, so that calls get through in between (D6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from tuckshop.domain.actor import Actor
from tuckshop.services.changes import Changes, Edit

R = TypeVar("R")
M = TypeVar("M")

ROWS_PER_TRANSACTION: Final = 50  # so that calls never wait long for an import
PAUSE_S: Final = 0.01  # between two such transactions, or as long as the last one took


async def by_batches(
    changes: Changes, actor: Actor, rows: Sequence[R], work: Callable[[Edit, Sequence[R]], M]
) -> AsyncIterator[M]:
    """Do *work* on *rows*, a few of them per transaction; what it gave for each."""
    loop = asyncio.get_running_loop()
    took_s = 0.0
    for batch in batches(rows, ROWS_PER_TRANSACTION):
        if took_s:
            # Each change sends calls back to look again who they are for.
            await asyncio.sleep(max(PAUSE_S, took_s))
        began_s = loop.time()

        def in_edit(edit: Edit, batch: Sequence[R] = batch) -> M:
            return work(edit, batch)

        yield await changes.make(actor, in_edit)
        took_s = loop.time() - began_s


def batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """*rows* by *size* at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
