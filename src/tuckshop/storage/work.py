"""What stands in the writer's queue, and how results get back to those who wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from tuckshop.storage.batch import Submission
from tuckshop.storage.transaction import Transaction

T = TypeVar("T")
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class AdminJob(Generic[T]):
    """A change that runs under a savepoint of its own."""

    work: Callable[[Transaction], T]
    future: asyncio.Future[T]


@dataclass(slots=True, eq=False)
class Place:
    """A place in the queue: answered when all before it is committed."""

    future: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class Emptying:
    """
    Move what is committed into the database and cut the log off, so that it holds nothing any more.

    Answered with whether it is empty: somebody who reads may keep it.
    """

    future: asyncio.Future[bool]


@dataclass(frozen=True, slots=True)
class Call:
    """Wake up; `stop`: for the last time."""

    stop: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """What an admin job returned, told apart from what it raised (a job may return an exception)."""

    value: object


Work: TypeAlias = Submission | AdminJob[Any] | Place | Emptying


def deliver(answers: Sequence[tuple[Work, object]]) -> None:
    """Hand results to those who wait: one call into each loop. An exception is raised to them."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for item, result in answers:
        if item.future is not None:
            by_loop.setdefault(item.future.get_loop(), []).append((item.future, result))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set_results, pairs)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            _log.debug("%d results came too late for their loop", len(pairs))


def _set_results(pairs: list[tuple[asyncio.Future[Any], object]]) -> None:
    for future, result in pairs:
        if future.done():  # cancelled
            continue
        if isinstance(result, Returned):
            future.set_result(result.value)
        elif isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
