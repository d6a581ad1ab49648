"""Forecasts: the pace of a group's spending, and when the budgets that it shares end."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from sqlalchemy import select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.forecast import DAY_US, LOOK_BACK_DAYS, Pace, forecast, sentence
from tuckshop.domain.limits import Metric, Rolling
from tuckshop.domain.money import NANO_PER_USD, usd
from tuckshop.domain.records import Group
from tuckshop.domain.reservation import LimitState
from tuckshop.domain.windows import ZoneHistory, span_at
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.shapes.forecasts import BudgetForecast, ForecastPage
from tuckshop.services.standing import limits_of_group
from tuckshop.services.usage import Usage
from tuckshop.storage.database import Database
from tuckshop.storage.schema import requests


class Forecasts:
    """Looks ahead."""

    def __init__(
        self, directory: Directory, ledger: Ledger, database: Database, usage: Usage, clock: Clock
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._usage = usage
        self._clock = clock

    async def of_group(self, actor: Actor, name_or_id: str) -> ForecastPage:
        """
        How the money limits go on that the group's members share: those for all calls, over a calendar window or total.

        Raises:
            NotFoundError: No such group.
        """
        group = self._directory.group(name_or_id, actor)
        limits = [
            limit
            for limit in limits_of_group(group, self._directory.workspace)
            # What all groups together spend would tell staff of one what the others do (K5).
            if (limit.scope.kind == "group" or actor.groups is None)
            and limit.limit.metric is Metric.MONEY
            and not limit.limit.selector.canonical
            and not isinstance(limit.limit.window, Rolling)
        ]
        await self._ledger.flush()
        states = await self._ledger.states(limits)
        paces: dict[str | None, Pace] = {}
        data: list[BudgetForecast] = []
        for state, limit in zip(states, limits, strict=True):
            whose = group.id if state.scope.kind == "group" else None
            if whose not in paces:
                paces[whose] = await self._pace(whose)
            data.append(await self._one(state, limit.zone, paces[whose], group))
        return ForecastPage(data=data, time_zone=group.zone.current)

    async def _one(
        self, state: LimitState, zone: ZoneHistory, pace: Pace, group: Group
    ) -> BudgetForecast:
        now_us = self._clock.now_us()
        window = state.limit.window
        assert not isinstance(window, Rolling)
        assert window != "now"
        span = span_at(window, now_us, zone)
        found = forecast(
            remaining_nano=state.remaining,
            renews_at_us=span.end_us,
            pace=pace,
            now_us=now_us,
        )
        window_pace = None
        if span.end_us is not None:
            whose = group.id if state.scope.kind == "group" else None
            spent = await self._spent(whose, span.start_us, now_us)
            window_pace = Pace(spent_nano=spent, over_us=now_us - span.start_us).per_day_nano
        return BudgetForecast(
            limit=str(state.limit),
            scope="group" if state.scope.kind == "group" else "workspace",
            used_usd=usd(state.used + state.reserved),
            remaining_usd=usd(state.remaining),
            renews_at=None if span.end_us is None else rfc3339(span.end_us),
            per_day_usd=None if found.per_day_nano is None else usd(found.per_day_nano),
            window_per_day_usd=None if window_pace is None else usd(window_pace),
            outlook=found.outlook,
            ends_at=None if found.ends_at_us is None else rfc3339(found.ends_at_us),
            sentence=sentence(
                found,
                limit=state.limit,
                whose="of all" if state.scope.kind == "group" else "of all groups",
                renews_at_us=span.end_us,
                now_us=now_us,
                zone=group.zone.current,
            ),
        )

    async def _pace(self, group_id: str | None) -> Pace:
        """Of a group; None: of all."""
        now_us = self._clock.now_us()
        since_us = now_us - LOOK_BACK_DAYS * DAY_US
        first_us = await asyncio.to_thread(self._first_call_us, group_id)
        if first_us is None:
            return Pace(spent_nano=0, over_us=0)
        since_us = max(since_us, first_us)
        return Pace(
            spent_nano=await self._spent(group_id, since_us, now_us), over_us=now_us - since_us
        )

    async def _spent(self, group_id: str | None, since_us: int, now_us: int) -> int:
        where = {} if group_id is None else {"group_id": group_id}
        (row,) = await self._usage.rows(
            [], where, since_us=since_us, until_us=now_us, zone=ZoneHistory.of("UTC")
        )
        return int(Decimal(row.cost_usd) * NANO_PER_USD)

    def _first_call_us(self, group_id: str | None) -> int | None:
        columns = requests.c
        query = select(columns.admitted_at).where(
            columns.workspace_id == self._directory.workspace.id
        )
        if group_id is None:
            query = query.order_by(columns.position)
        else:
            query = query.where(columns.group_id == group_id).order_by(columns.admitted_at)
        with self._database.reader() as connection:
            found: int | None = connection.execute(query.limit(1)).scalar()
            return found
