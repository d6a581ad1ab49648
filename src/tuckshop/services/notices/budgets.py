"""
How much of money limits is used: looked at beside the calls, and only where something was spent since the last look.

What moved is told by the roll-up, which has a row per key and quarter of an hour. Of those members, counters that are
below every threshold without grants and carried money are below it with them too, so only the others are asked for in
full. With 10,000 members who all call, that is a read of their rows every few seconds, and nothing on the calls' way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from sqlalchemy import func, or_, select

from tuckshop.domain.actor import SYSTEM
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.limits import Metric, Rolling
from tuckshop.domain.money import usd
from tuckshop.domain.notices import Notice
from tuckshop.domain.records import Member
from tuckshop.domain.reservation import LimitInForce, LimitState
from tuckshop.ledger.day_sums import QUARTER_US
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.standing import limits_of_group, limits_of_member, limits_of_workspace
from tuckshop.storage.database import Database
from tuckshop.storage.schema import counters, usage_buckets

MEMBER_PERCENT: Final = (80, 100)
SHARED_PERCENT: Final = (50, 80, 100)
# Who was refused for lack of money with so much used has reached the end: the rest is too little for a call.
REFUSED_PERCENT: Final = 90
BACK_US: Final = (
    1_800 * US_PER_SECOND
)  # calls count when they were admitted, at most 15 minutes ago
STATES_AT_ONCE: Final = 100  # in one transaction, so that calls never wait long
SCOPES_AT_ONCE: Final = 500
TOLD_MAX: Final = 100_000  # remembered; the ledger remembers all
MEMBERS_AT_ONCE: Final = (
    200  # whose limits are gathered between two looks at what else is to be done
)
_Spender = tuple[int, str, str]  # bucket, group, member


class Budgets:
    """Used on the loop alone."""

    def __init__(
        self, directory: Directory, ledger: Ledger, database: Database, clock: Clock
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._clock = clock
        # By bucket, group and member, what was spent: at the last look, and as it was read for this one.
        self._spent: dict[_Spender, int] = {}
        self._read: dict[_Spender, int] = {}
        self._told: set[str] = set()

    async def look(
        self, *, of_members: bool, of_groups: bool, refused: Collection[str]
    ) -> list[Notice]:
        """
        What is to be told of budgets, unless it was told before. `told` is to follow.

        Args:
            refused: Members who were refused for lack of money since the last look.
        """
        # What grows with the number of members is done in threads.
        self._read, moved = await asyncio.to_thread(self._read_spent)
        short = {member.id: member for member in self._directory.known_members(refused)}
        members = self._directory.known_members(moved | short.keys())
        group_ids = {member.group_id for member in members}
        found: list[Notice] = []
        if of_members or short:
            asked = members if of_members else list(short.values())
            limits = await self._limits_of_members(asked)
            nearly = await asyncio.to_thread(self._nearly_used, limits)
            full, told = await self._judged(nearly, short.keys())
            found += told if of_members else []
            for member_id in full:
                short.pop(member_id, None)  # that was why
        if of_groups:
            short_of = {member.group_id for member in short.values()}
            full, told = await self._judged(self._limits_of_groups(group_ids), short_of)
            found += told
            everybodys = list(filter(_is_budget, limits_of_workspace(self._directory.workspace)))
            is_short = bool(short_of - full)
            if members:
                _, told = await self._judged(
                    everybodys, {self._directory.workspace.id} if is_short else ()
                )
                found += told
        return found

    def told(self, notices: Iterable[Notice]) -> None:
        """These stand in the ledger: do not bring them again, and go on from here."""
        self._spent = self._read
        if len(self._told) > TOLD_MAX:
            self._told.clear()
        self._told.update(notice.once for notice in notices if notice.once is not None)

    def _read_spent(self) -> tuple[dict[_Spender, int], set[str]]:
        """What was spent lately, and the members for whom that is not what it was."""
        since_us = self._clock.now_us() - BACK_US
        bucket = usage_buckets.c
        query = (
            select(bucket.bucket, bucket.group_id, bucket.member_id, func.sum(bucket.cost))
            .where(
                bucket.workspace_id == self._directory.workspace.id,
                bucket.bucket >= since_us - since_us % QUARTER_US,
            )
            .group_by(bucket.bucket, bucket.group_id, bucket.member_id)
        )
        with self._database.reader() as connection:
            spent = {(row[0], row[1], row[2]): int(row[3]) for row in connection.execute(query)}
        before = self._spent
        return spent, {key[2] for key, cost in spent.items() if cost != before.get(key, 0)}

    async def _limits_of_members(self, members: Sequence[Member]) -> list[LimitInForce]:
        workspace = self._directory.workspace
        found: list[LimitInForce] = []
        for number, member in enumerate(members):
            if number % MEMBERS_AT_ONCE == 0:
                await asyncio.sleep(0)  # ten thousand of them take half a second
            limits = limits_of_member(member, self._directory.group_of(member), workspace)
            found += (one for one in limits if one.scope.kind == "member" and _is_budget(one))
        return found

    def _limits_of_groups(self, group_ids: Collection[str]) -> list[LimitInForce]:
        workspace = self._directory.workspace
        return [
            limit
            for group in self._directory.groups(SYSTEM)
            if group.id in group_ids
            for limit in limits_of_group(group, workspace)
            if limit.scope.kind == "group" and _is_budget(limit)
        ]

    def _nearly_used(self, limits: Sequence[LimitInForce]) -> list[LimitInForce]:
        """Those of which so much is used that there may be something to tell, grants or not."""
        used = self._used_by(list({limit.scope.id for limit in limits}))
        least = MEMBER_PERCENT[0]
        found = []
        for limit in limits:
            kind = limit.limit.kind
            nano = used.get((limit.scope.id, kind.selector, kind.window), 0)
            if nano * 100 >= limit.limit.amount * least:
                found.append(limit)
        return found

    def _used_by(self, member_ids: Sequence[str]) -> dict[tuple[str, str, str], int]:
        """By member, selector and window, what is used of it now."""
        now_us = self._clock.now_us()
        found: dict[tuple[str, str, str], int] = {}
        row = counters.c
        with self._database.reader() as connection:
            for start in range(0, len(member_ids), SCOPES_AT_ONCE):
                query = (
                    select(row.scope_id, row.selector, row.window, func.sum(row.used))
                    .where(
                        row.workspace_id == self._directory.workspace.id,
                        row.scope_kind == "member",
                        row.scope_id.in_(member_ids[start : start + SCOPES_AT_ONCE]),
                        row.metric == str(Metric.MONEY),
                        or_(row.window_end.is_(None), row.window_end > now_us),
                    )
                    .group_by(row.scope_id, row.selector, row.window)
                )
                for member_id, selector, window, used in connection.execute(query):
                    found[member_id, selector, window] = int(used)
        return found

    async def _judged(
        self, limits: Sequence[LimitInForce], short_of: Collection[str]
    ) -> tuple[set[str], list[Notice]]:
        """
        Of these limits, the scopes that are all but used up, and what is to be told.

        Args:
            short_of: Scopes in which calls were refused for lack of money.
        """
        full: set[str] = set()
        found: list[Notice] = []
        for start in range(0, len(limits), STATES_AT_ONCE):
            some = limits[start : start + STATES_AT_ONCE]
            for limit, state in zip(some, await self._ledger.states(some), strict=True):
                amount, scope = limit.limit.amount + state.lift, limit.scope
                if state.used * 100 >= REFUSED_PERCENT * amount:
                    full.add(scope.id)
                percent = percent_reached(
                    state.used,
                    amount,
                    MEMBER_PERCENT if scope.kind == "member" else SHARED_PERCENT,
                    is_refused=scope.id in short_of,
                )
                if percent is not None:
                    notice = self._notice(limit, state, amount, percent)
                    if notice.once not in self._told:
                        found.append(notice)
        return full, found

    def _notice(self, limit: LimitInForce, state: LimitState, amount: int, percent: int) -> Notice:
        scope = limit.scope
        kind = limit.limit.kind
        window = self._window_of(limit, state)
        once = f"budget:{scope.id}:{kind.window}:{kind.selector}:{window}:{amount}:{percent}"
        is_member = scope.kind == "member"
        group_id = None
        if scope.kind != "workspace":
            (member,) = self._directory.known_members([scope.id]) if is_member else (None,)
            group_id = scope.id if member is None else member.group_id
        return Notice(
            kind="member_budget" if is_member else "shared_budget",
            workspace_id=self._directory.workspace.id,
            group_id=group_id,
            member_id=scope.id if is_member else None,
            facts={
                "limit": str(limit.limit),
                "percent": percent,
                "used_usd": usd(state.used),
                "amount_usd": usd(amount),
                "resets_at": None if state.resets_at_us is None else rfc3339(state.resets_at_us),
            },
            once=once,
        )

    def _window_of(self, limit: LimitInForce, state: LimitState) -> int:
        """What tells one window of a limit from the next. A rolling one has none: once within its length."""
        if isinstance(limit.limit.window, Rolling):
            return self._clock.now_us() // (limit.limit.window.seconds * US_PER_SECOND)
        return state.resets_at_us or 0


def percent_reached(
    used: int, amount: int, thresholds: Sequence[int], *, is_refused: bool
) -> int | None:
    """The highest of *thresholds* that is reached, the last of which is 100; None: not even the first."""
    share = used * 100
    if is_refused and share >= REFUSED_PERCENT * amount:
        return thresholds[-1]
    return max((one for one in thresholds if share >= one * amount), default=None)


def _is_budget(limit: LimitInForce) -> bool:
    return limit.limit.metric is Metric.MONEY and limit.limit.amount > 0
