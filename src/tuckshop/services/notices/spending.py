"""
Keys that spend far more within this hour than they used to, read off the roll-up beside the calls.

Only keys that spent enough within the hour to be worth a look are compared with their past, and that is read once an
hour for each of them.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.money import usd
from tuckshop.domain.notices import Notice
from tuckshop.domain.spending import LEAST_NANO, PAST_DAYS, is_unusual, usual_hour
from tuckshop.ledger.day_sums import QUARTER_US
from tuckshop.services.fields import rfc3339
from tuckshop.storage.database import Database
from tuckshop.storage.schema import usage_buckets

HOUR_US: Final = 3_600 * US_PER_SECOND
PAST_US: Final = PAST_DAYS * 24 * HOUR_US
KEYS_AT_ONCE: Final = 200  # whose past is read at one look; the others' turn comes


class _Spent(NamedTuple):
    group_id: str
    member_id: str
    key_id: str
    nano: int


class Spending:
    """Used on the loop alone."""

    def __init__(self, database: Database, workspace_id: str, clock: Clock) -> None:
        self._database = database
        self._workspace_id = workspace_id
        self._clock = clock
        self._hour_us = 0
        self._usual: dict[str, int | None] = {}  # by key, in this hour

    async def look(self) -> list[Notice]:
        """What is to be told of keys, unless it was told before."""
        now_us = self._clock.now_us()
        hour_us = now_us - now_us % HOUR_US
        if hour_us != self._hour_us:
            self._hour_us, self._usual = hour_us, {}

        def read() -> list[_Spent]:
            with self._database.reader() as connection:
                spent = self._spent(connection)
                unknown = [one for one in spent if one.key_id not in self._usual]
                for one in unknown[:KEYS_AT_ONCE]:
                    self._usual[one.key_id] = usual_hour(self._past(connection, one))
                return spent

        return [
            self._notice(one, usual)
            for one in await asyncio.to_thread(read)
            if (usual := self._usual.get(one.key_id)) is not None and is_unusual(one.nano, usual)
        ]

    def _spent(self, connection: Connection) -> list[_Spent]:
        row = usage_buckets.c
        of_key = (row.group_id, row.member_id, row.key_id)
        query = (
            select(*of_key, func.sum(row.cost))
            .where(row.workspace_id == self._workspace_id, row.bucket >= self._hour_us)
            .group_by(*of_key)
            .having(func.sum(row.cost) >= LEAST_NANO)
        )
        return [_Spent(*values) for values in connection.execute(query)]

    def _past(self, connection: Connection, one: _Spent) -> list[int]:
        """What the key spent in each hour before this one. Every quarter is named, so that the index finds each."""
        row = usage_buckets.c
        quarters = range(self._hour_us - PAST_US, self._hour_us, QUARTER_US)
        query = select(row.bucket, row.cost).where(
            row.workspace_id == self._workspace_id,
            row.bucket.in_(quarters),
            row.group_id == one.group_id,
            row.member_id == one.member_id,
            row.key_id == one.key_id,
        )
        hours: dict[int, int] = {}
        for bucket_us, nano in connection.execute(query):
            hour_us = bucket_us - bucket_us % HOUR_US
            hours[hour_us] = hours.get(hour_us, 0) + nano
        return list(hours.values())

    def _notice(self, one: _Spent, usual_nano: int) -> Notice:
        hour = rfc3339(self._hour_us)
        return Notice(
            kind="unusual_spend",
            workspace_id=self._workspace_id,
            group_id=one.group_id,
            member_id=one.member_id,
            key_id=one.key_id,
            facts={"hour": hour, "spent_usd": usd(one.nano), "usual_usd": usd(usual_nano)},
            once=f"unusual_spend:{one.key_id}:{hour[:10]}",
        )
