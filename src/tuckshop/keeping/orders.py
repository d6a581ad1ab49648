"""What the loop asks of the thread that writes bodies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tuckshop.keeping.kept_body import Content, KeptBody

T = TypeVar("T")
EVERYTHING_US: Final = 2**62  # later than any time: all is older


@dataclass(frozen=True, slots=True)
class Keep:
    """Write this one. *held_bytes* of memory are given back then."""

    body: KeptBody
    content: Callable[[], Content]  # laid together where it holds up nobody
    held_bytes: int


@dataclass(frozen=True, slots=True)
class Flagged:
    """In this one something was flagged, if it is kept at all."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a group keeps: bodies since then, flagged ones and others. What is older is deleted."""

    flagged_since_us: int
    others_since_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is to be left. Bodies of a group that is not named belong to nobody any more, and go."""

    spans: Mapping[str, Span] = field(default_factory=dict)
    held_groups: frozenset[str] = frozenset()  # by a legal hold: nothing of theirs is deleted
    held_members: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Retain:
    """Delete the rest, in pieces, and tell how many bodies that were."""

    retention: Retention
    done: asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class Erase:
    """Delete all of these members, and tell how many bodies that were."""

    member_ids: frozenset[str]
    done: asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class Flush:
    """Tell when all that was asked before is done."""

    done: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Stop:
    """Write what is there, and end."""


Order = Keep | Flagged | Retain | Erase | Flush | Stop


def tell(done: asyncio.Future[T], value: T) -> None:
    """Answer whoever waits, from any thread."""
    _on_its_loop(done, lambda: done.set_result(value))


def fail(done: asyncio.Future[T], error: Exception) -> None:
    """The same with a failure."""
    _on_its_loop(done, lambda: done.set_exception(error))


def _on_its_loop(done: asyncio.Future[T], answer: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
        done.get_loop().call_soon_threadsafe(lambda: None if done.done() else answer())
