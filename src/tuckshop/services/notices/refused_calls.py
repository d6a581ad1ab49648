"""
Calls that were refused since the last look, as far as somebody is to be told of them.

They are read off the request log, where a known key's refusals stand, those within a second as one row. So a call costs
nothing more, and a flood of keys that nobody knows is not even seen here (K15).
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.notices import Notice
from tuckshop.services.fields import rfc3339
from tuckshop.storage.database import Database
from tuckshop.storage.schema import requests

ROWS_MAX: Final = 5_000  # at one look; the newest
BACK_US: Final = 3_600 * US_PER_SECOND  # so far the first look goes back
ERRORS: Final = ("key_revoked", "insufficient_quota")


class RefusedCall(NamedTuple):
    """A row of the request log."""

    error: str
    at_us: int
    group_id: str
    member_id: str
    key_id: str
    request_id: str


class RefusedCalls:
    """Reads on from where it was."""

    def __init__(self, database: Database, workspace_id: str, clock: Clock) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._clock = clock
        self._mark = self._read_to = 0  # the last position that was dealt with, and that was read

    async def look(self, since_us: int) -> list[RefusedCall]:
        """Those that came since what was dealt with, and not before *since_us*. `dealt_with` is to follow."""

        def read() -> tuple[list[RefusedCall], int]:
            with self._database.reader() as connection:
                return self._read(connection, max(since_us, self._clock.now_us() - BACK_US))

        found, self._read_to = await asyncio.to_thread(read)
        return found

    def dealt_with(self) -> None:
        """What was read last is: go on from there."""
        self._mark = self._read_to

    def _read(self, connection: Connection, since_us: int) -> tuple[list[RefusedCall], int]:
        row = requests.c
        refused = (
            row.workspace_id == self._workspace_id,
            row.state == "refused",
            # As the index of such rows says it, which is found by these words alone.
            row.state != "settled",
            row.state != "reserved",
            row.position > self._mark,
        )
        last = connection.execute(select(func.max(row.position)).where(*refused)).scalar()
        if last is None:
            return [], self._mark
        query = (
            select(row.error, row.admitted_at, row.group_id, row.member_id, row.key_id, row.id)
            .where(*refused, row.position <= last, row.admitted_at >= since_us)
            .order_by(row.position.desc())
            .limit(ROWS_MAX)
        )
        found = (RefusedCall(*values) for values in connection.execute(query))
        return [call for call in found if call.error in ERRORS], int(last)


def revoked_key_used(call: RefusedCall, workspace_id: str) -> Notice:
    """Tell of a call with a key that was revoked, once per key and day."""
    day = rfc3339(call.at_us)[:10]
    return Notice(
        kind="revoked_key_used",
        workspace_id=workspace_id,
        group_id=call.group_id,
        member_id=call.member_id,
        key_id=call.key_id,
        request_id=call.request_id,
        once=f"revoked_key_used:{call.key_id}:{day}",
    )
