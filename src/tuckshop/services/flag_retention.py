"""
How long flags and appeals are kept: as many days as the rows of their group in the request log (P9).

What a legal hold covers stays until the hold is released.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Table, delete, or_, select

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.storage.schema import appeals, flagged_calls, flags, groups, holds
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

BATCH_ROWS: Final = 200  # so that calls never wait long for it
_DAY_US: Final = 86_400 * US_PER_SECOND


class FlagRetention:
    """Deletes what is old enough."""

    def __init__(self, workspace_id: str, writer: Writer) -> None:
        self._workspace_id = workspace_id
        self._writer = writer

    async def forget(self, group_id: str) -> int:
        """
        Delete the oldest flags and appeals of a group that are past their days, at most so many of each.

        Returns:
            How many it were of whichever are more. Fewer than `BATCH_ROWS`: that was all for now.
        """

        def work(transaction: Transaction) -> int:
            connection = transaction.connection
            log_days = connection.execute(
                select(groups.c.log_days).where(
                    groups.c.workspace_id == self._workspace_id, groups.c.id == group_id
                )
            ).scalar_one()
            before_us = transaction.now_us - log_days * _DAY_US
            done = []
            for table, seen in ((flags, flags.c.last_at), (appeals, appeals.c.created_at)):
                query = select(table.c.id).where(*self._old(table, seen, group_id, before_us))
                ids = list(connection.execute(query.limit(BATCH_ROWS)).scalars())
                mine = table.c.workspace_id == self._workspace_id
                connection.execute(delete(table).where(mine, table.c.id.in_(ids)))
                if table is flags:
                    of_ours = flagged_calls.c.workspace_id == self._workspace_id
                    connection.execute(
                        delete(flagged_calls).where(of_ours, flagged_calls.c.flag_id.in_(ids))
                    )
                done.append(len(ids))
            return max(done)

        return await self._writer.transact(work)

    def _old(
        self, table: Table, seen: Column[Any], group_id: str, before_us: int
    ) -> tuple[ColumnElement[bool], ...]:
        held = select(holds.c.id).where(
            holds.c.workspace_id == self._workspace_id,
            holds.c.group_id == group_id,
            holds.c.released_at.is_(None),
            or_(holds.c.member_id.is_(None), holds.c.member_id == table.c.member_id),
        )
        return (
            table.c.workspace_id == self._workspace_id,
            table.c.group_id == group_id,
            seen < before_us,
            ~held.exists(),
        )
