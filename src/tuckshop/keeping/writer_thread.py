"""
The thread that writes bodies: packs, seals, keeps, deletes. The ledger's writer knows nothing of it.

Whatever goes wrong here costs bodies, never calls: they are dropped, counted, and told once a minute (D2).
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Literal

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import StoreError
from tuckshop.keeping import body_file
from tuckshop.keeping.body_file import BodyFile, Row
from tuckshop.keeping.kept_body import Packer
from tuckshop.keeping.orders import (
    EVERYTHING_US,
    Erase,
    Flagged,
    Flush,
    Keep,
    Order,
    Retain,
    Retention,
    Span,
    Stop,
    fail,
    tell,
)
from tuckshop.keeping.seals import Seals, seal_body

_log: Final = logging.getLogger(__name__)

GATHER_S: Final = 0.1  # so long bodies wait for others to be written with them
BATCH_BYTES: Final = 8 << 20  # of one transaction, before they are packed
FREE_MIN_BYTES: Final = 512 << 20  # with less space left on the disk nothing is kept
ASIDE_S: Final = 86_400  # so long a damaged file lies there for whoever has to save something
TELL_EVERY_S: Final = 60.0

# full: the quota is. disk: the space left. failed: the file cannot be written. erased: the person is.
Dropped = Literal["full", "disk", "failed", "erased", "memory"]


class Losses:
    """Counts what was not kept, and tells it, once a minute at most."""

    def __init__(self, clock: Clock, count: Callable[[Dropped, int], None]) -> None:
        self._clock = clock
        self._count = count
        self._untold: dict[Dropped, int] = {}
        self._next_s = 0.0

    def add(self, why: Dropped, number: int = 1) -> None:
        """So many more."""
        self._count(why, number)
        self._untold[why] = self._untold.get(why, 0) + number
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_s:
            self._next_s = now_s + TELL_EVERY_S
            told = ", ".join(f"{count} ({why})" for why, count in sorted(self._untold.items()))
            self._untold.clear()
            _log.warning("bodies of calls that were not kept: %s", told)


class BodyWriterThread:
    """What runs on the thread."""

    def __init__(
        self,
        path: Path,
        orders: SimpleQueue[Order],
        *,
        seals: Seals,
        clock: Clock,
        max_bytes: int,
        losses: Losses,
        kept: Callable[[int], None],
        free: Callable[[int], None],
        free_min_bytes: int = FREE_MIN_BYTES,
    ) -> None:
        """
        Nothing runs before `run`.

        Args:
            max_bytes: The most that the file may take.
            kept: Told how many bodies were kept.
            free: Told how much memory is free again. Both on this thread.
        """
        self._path = path
        self._orders = orders
        self._seals = seals
        self._clock = clock
        self._max_bytes = max_bytes
        self._free_min_bytes = free_min_bytes
        self._losses = losses
        self._kept = kept
        self._free = free
        self._file: BodyFile | None = None
        self._packer = Packer()
        self._work: Generator[None] | None = None  # deleting, in pieces
        self.hurry = threading.Event()  # somebody waits: do not gather

    def run(self) -> None:
        """Until it is told to stop."""
        waiting: deque[Order] = deque()
        while True:
            try:
                # While there is something to delete, what is to be kept comes in between.
                is_deleting = self._is_deleting()
                waiting.append(self._orders.get(block=not is_deleting))
                if isinstance(waiting[-1], Keep) and not is_deleting:
                    self.hurry.wait(GATHER_S)
            except Empty:
                pass
            with contextlib.suppress(Empty):
                while True:
                    waiting.append(self._orders.get_nowait())
            self.hurry.clear()
            while waiting:
                if not self._do(waiting):
                    self._stop_deleting()
                    self._close()
                    for order in waiting:
                        self._refuse(order)
                    return

    def refuse_rest(self) -> None:
        """After the end: whoever asked for something since the thread's last look hears that it is not done."""
        with contextlib.suppress(Empty):
            while True:
                self._refuse(self._orders.get_nowait())

    def _refuse(self, order: Order) -> None:
        match order:
            case Keep():
                self._losses.add("failed")
                self._free(order.held_bytes)
            case Retain():
                tell(order.done, 0)
            case Erase():
                fail(order.done, _undeleted())
            case Flush():
                tell(order.done, None)

    def _stop_deleting(self) -> None:
        """What is left to be deleted, the next look deletes."""
        if self._work is not None:
            self._work.close()
            self._work = None

    def _is_deleting(self) -> bool:
        """Do a piece of it; False: nothing is left to be deleted."""
        if self._work is None:
            return False
        try:
            next(self._work)
        except StopIteration:
            self._work = None
        except Exception as error:  # noqa: BLE001 - told; the thread goes on, whatever it was
            self._work = None
            self._give_up(error)
        return self._work is not None

    def _do(self, waiting: deque[Order]) -> bool:
        """The first of what waits, with those that go together with it; False: stop."""
        order = waiting[0]
        if isinstance(order, Keep):
            self._keep(list(_some(waiting)))
            return True
        waiting.popleft()
        try:
            match order:
                case Flagged():
                    self._opened().flag([order.request_id])
                case Retain():
                    self._stop_deleting()
                    self._work = self._retaining(order)
                    next(self._work)  # one that never began would end without a word to who waits
                case Erase():
                    count = self._erase(order.member_ids)
                    tell(order.done, count)
                case Flush():
                    tell(order.done, None)
                case Stop():
                    return False
        except Exception as error:  # noqa: BLE001 - told; the thread goes on, whatever it was
            self._give_up(error)
            if isinstance(order, Erase):
                fail(order.done, _undeleted())
        return True

    def _keep(self, orders: list[Keep]) -> None:
        try:
            file = self._opened()
            if file.free_bytes() < self._free_min_bytes:
                self._losses.add("disk", len(orders))
                return
            rows = [row for order in orders if (row := self._sealed(order)) is not None]
            file.add(rows)
            self._kept(len(rows))
        except Exception as error:  # noqa: BLE001 - told; the thread goes on, whatever it was
            is_full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            self._losses.add("full" if is_full else "failed", len(orders))
            if not is_full:
                self._give_up(error)
        finally:
            self._free(sum(order.held_bytes for order in orders))

    def _sealed(self, order: Keep) -> Row | None:
        body = order.body
        try:
            sealed = seal_body(self._seals, body, self._packer.pack(order.content()))
        except StoreError:
            self._losses.add("erased")
            return None
        except Exception:  # noqa: BLE001 - the edge of one body: counted, and the others go on
            _log.exception("a body could not be sealed")
            self._losses.add("failed")
            return None
        return body, sealed

    def _retaining(self, order: Retain) -> Generator[None]:
        """Delete what is older than it may be, piece by piece."""
        total = 0
        try:
            yield
            for count in self._delete_all_but(order.retention):
                total += count
                yield
            yield from self._shrink()
        finally:  # also where it fails: the next look goes on
            tell(order.done, total)

    def _delete_all_but(self, retention: Retention) -> Iterator[int]:
        at_us = body_file.set_aside_at_us(self._path)
        if at_us is not None and self._clock.now_us() - at_us > ASIDE_S * US_PER_SECOND:
            body_file.remove_aside(self._path)
            _log.warning("the damaged file of bodies that was set aside is deleted")
        if not self._path.exists():
            return
        gone = Span(flagged_since_us=EVERYTHING_US, others_since_us=EVERYTHING_US)
        for group_id in self._opened().groups():
            if group_id in retention.held_groups:
                continue
            span = retention.spans.get(group_id, gone)
            for is_flagged, since_us in (
                (True, span.flagged_since_us),
                (False, span.others_since_us),
            ):
                while count := self._opened().delete_some(
                    group_id,
                    is_flagged=is_flagged,
                    before_us=since_us,
                    held_members=retention.held_members,
                ):
                    yield count

    def _erase(self, member_ids: frozenset[str]) -> int:
        total = 0
        if self._path.exists():
            for member_id in sorted(member_ids):
                while count := self._opened().delete_some_of(member_id):
                    total += count
            for _ in self._shrink():
                pass
        body_file.remove_aside(self._path)  # nobody can tell whose bodies are in it
        return total

    def _shrink(self) -> Iterator[None]:
        """Leave nothing of what was deleted, in the file and in its log."""
        if not self._path.exists():
            return
        while self._opened().give_back_some():
            yield
        # Whoever reads just now ends soon; else the next look does it.
        self._opened().empty_log()

    def _opened(self) -> BodyFile:
        if self._file is None:
            try:
                self._file = BodyFile(self._path, max_bytes=self._max_bytes)
            except sqlite3.Error as error:
                if not body_file.is_damage(error):
                    raise
                self._set_aside()
                self._file = BodyFile(self._path, max_bytes=self._max_bytes)
        return self._file

    def _give_up(self, error: Exception) -> None:
        """After a failure the file is opened anew; a damaged one makes place for another."""
        _log.warning(
            "bodies cannot be kept or deleted just now: %s",
            type(error).__name__,
            # Where it came from is told of what nobody foresaw alone.
            exc_info=None if isinstance(error, sqlite3.Error | OSError | StoreError) else error,
        )
        self._close()
        if body_file.is_damage(error):
            with contextlib.suppress(OSError):
                self._set_aside()

    def _set_aside(self) -> None:
        aside = body_file.set_aside(self._path, self._clock.now_us())
        _log.error("%s is damaged: it is set aside as %s for a day", self._path.name, aside.name)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _undeleted() -> StoreError:
    return StoreError("the kept bodies could not be deleted just now")


def _some(waiting: deque[Order]) -> Iterator[Keep]:
    """The next bodies, as many as go into one transaction; at least one."""
    size = 0
    while waiting and isinstance(waiting[0], Keep):
        size += waiting[0].held_bytes
        yield waiting[0]
        waiting.popleft()
        if size >= BATCH_BYTES:
            return
