"""
Flags as they are written down: behind the calls, which never wait for it, and each in one piece with what it causes.

A content of a member is one flag, however often it comes again: a client that repeats a refused call, or sends a long
conversation once more with every turn, has done one thing. What comes of it stands in the same transaction: the calls
it was found in, the notices, and the strike where that many contents are too many.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, insert, select, update

from tuckshop.domain.actor import SYSTEM
from tuckshop.domain.errors import TuckshopError
from tuckshop.domain.flags import NewFlag
from tuckshop.domain.notices import Notice
from tuckshop.domain.watch import Unwatched, Watch
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.strikes import strike_in
from tuckshop.storage.notices import post
from tuckshop.storage.rows import text_of_list
from tuckshop.storage.schema import flagged_calls, flags, members, requests
from tuckshop.tasks import spawn

_log: Final = logging.getLogger(__name__)

WAITING_MAX: Final = 10_000
BATCH: Final = 100  # in one transaction, so that calls never wait long for it
AGAIN_S: Final = 1.0  # after a write that failed
FLUSH_S: Final = 2.0


# Called inside the change that pauses, with the member: what it writes is written with it or not at all.
StrikeListener = Callable[[Edit, str], None]


class FlagNotes:
    """`domain.flags.Flags`. Used on the loop alone."""

    def __init__(
        self, changes: Changes, watch: Watch | None = None, *, waiting_max: int = WAITING_MAX
    ) -> None:
        self._changes = changes
        self._watch = watch or Unwatched()
        self._waiting_max = waiting_max
        self._waiting: deque[NewFlag] = deque()
        self._listeners: list[Callable[[NewFlag], None]] = []
        self._strike_listeners: list[StrikeListener] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many are not written yet."""
        return len(self._waiting)

    def on_flag(self, listener: Callable[[NewFlag], None]) -> None:
        """Tell *listener* whatever is noted from now on, at once."""
        self._listeners.append(listener)

    def on_strike(self, listener: StrikeListener) -> None:
        """Call *listener* within every change that pauses somebody."""
        self._strike_listeners.append(listener)

    def note(self, flag: NewFlag) -> None:
        """Write *flag*, or count it where the member's content has one already; returns at once."""
        for tell in self._listeners:
            tell(flag)
        if len(self._waiting) >= self._waiting_max:
            self._lost(1, f"{self._waiting_max:,} others wait to be written")
            return
        self._waiting.append(flag)
        if not self._tasks:
            spawn(self._write_all(), name="write flags", tasks=self._tasks)

    async def flush(self) -> None:
        """Wait until what was noted so far is written; not for long, where it cannot be."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=FLUSH_S)

    async def close(self) -> None:
        """Write what waits, but try nothing twice any more."""
        self._closing.set()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _write_all(self) -> None:
        singly = (
            0  # so many flags are written one by one, to lose no others with one that cannot be
        )
        while self._waiting:
            size = min(1 if singly else BATCH, len(self._waiting))
            some = [self._waiting[place] for place in range(size)]
            try:
                await self._changes.make(SYSTEM, partial(self._write, some=some))
            except TuckshopError as error:
                if self._closing.is_set():
                    self._lost(len(self._waiting), str(error))
                    self._waiting.clear()
                    return
                _log.warning("%d flags are written later: %s", len(self._waiting), error)
                await self._pause()
                continue
            except Exception as error:  # noqa: BLE001 - the outer edge of a task: counted and logged
                if size > 1:
                    singly = size
                    continue
                self._lost(1, type(error).__name__)
            for _ in some:
                self._waiting.popleft()
            singly = max(0, singly - 1)

    def _write(self, edit: Edit, some: Sequence[NewFlag]) -> None:
        for flag in some:
            if _is_known(edit, flag.member_id) and _note(edit, flag):
                for tell in self._strike_listeners:
                    tell(edit, flag.member_id)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), AGAIN_S)
        except TimeoutError:
            return

    def _lost(self, count: int, why: str) -> None:
        self._watch.alarm("flags_lost", count)
        _log.error("%d flags are lost: %s", count, why)


def _is_known(edit: Edit, member_id: str) -> bool:
    """Is the member still there? One who was erased meanwhile leaves nothing behind."""
    query = select(members.c.id).where(
        members.c.workspace_id == edit.workspace_id, members.c.id == member_id
    )
    return edit.connection.execute(query).first() is not None


def _note(edit: Edit, flag: NewFlag) -> bool:
    """Write it down; did that pause somebody?"""
    before = _same(edit, flag)
    if before is None:
        flag_id = _insert(edit, flag)
        post(edit.transaction, _notice(flag, flag_id))
    else:
        flag_id = before["id"]
        columns = {
            "last_at": edit.now_us,
            "repeats": before["repeats"] + 1,
            "action": flag.action,
            "is_own": before["is_own"] or flag.is_own,
        }
        edit.connection.execute(update(flags).where(*_is(edit, flag_id)).values(columns))
    _remember_call(edit, flag.request_id, flag_id)
    if not flag.is_own:
        return False
    counted_us = before["last_at"] if before is not None and before["is_own"] else None
    return strike_in(edit, flag, flag_id, counted_us=counted_us)


def _same(edit: Edit, flag: NewFlag) -> Mapping[str, Any] | None:
    """The flag that this content of the member has from this source already."""
    query = select(flags).where(
        flags.c.workspace_id == edit.workspace_id,
        flags.c.member_id == flag.member_id,
        flags.c.content == flag.content,
        flags.c.source == flag.source,
    )
    row = edit.connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _insert(edit: Edit, flag: NewFlag) -> str:
    flag_id = edit.new_id("flg")
    edit.connection.execute(
        insert(flags).values(
            workspace_id=edit.workspace_id,
            id=flag_id,
            at=edit.now_us,
            last_at=edit.now_us,
            group_id=flag.group_id,
            member_id=flag.member_id,
            key_id=flag.key_id,
            request_id=flag.request_id,
            source=flag.source,
            action=flag.action,
            reasons=text_of_list(flag.reasons),
            scores=msgspec.json.encode(flag.scores).decode(),
            content=flag.content,
            is_own=flag.is_own,
            state="open",
        )
    )
    return flag_id


def _notice(flag: NewFlag, flag_id: str) -> Notice:
    return Notice(
        kind="flag",
        workspace_id=flag.workspace_id,
        group_id=flag.group_id,
        member_id=flag.member_id,
        key_id=flag.key_id,
        request_id=flag.request_id,
        facts={
            "flag": flag_id,
            "source": flag.source,
            "action": flag.action,
            "reasons": ", ".join(flag.reasons),
        },
        once=f"flag:{flag_id}",
    )


def _remember_call(edit: Edit, request_id: str, flag_id: str) -> None:
    """That the flag was found in this call, for whoever looks for such calls in the log."""
    position = (
        select(requests.c.position)
        .where(requests.c.workspace_id == edit.workspace_id, requests.c.id == request_id)
        .scalar_subquery()
    )
    columns = {"workspace_id": edit.workspace_id, "request_id": request_id, "flag_id": flag_id}
    there = select(flagged_calls.c.flag_id).where(
        *(flagged_calls.c[name] == value for name, value in columns.items())
    )
    if edit.connection.execute(there).first() is None:
        edit.connection.execute(insert(flagged_calls).values(**columns, position=position))


def _is(edit: Edit, flag_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return flags.c.workspace_id == edit.workspace_id, flags.c.id == flag_id
