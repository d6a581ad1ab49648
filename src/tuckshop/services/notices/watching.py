"""Looks for what happened that somebody is to be told: each kind at its pace, and only those that anybody wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.notices import Notice
from tuckshop.services.directory import Directory
from tuckshop.services.notices.budgets import Budgets
from tuckshop.services.notices.posting import post_all
from tuckshop.services.notices.refused_calls import RefusedCalls, revoked_key_used
from tuckshop.services.notices.spending import Spending
from tuckshop.services.notices.subscriptions import Subscriptions
from tuckshop.storage.writer import Writer
from tuckshop.upstreams.circuit import Refusal
from tuckshop.upstreams.registry import UpstreamRegistry

SPENDING_S: Final = 60.0
AGAIN_US: Final = 6 * 3_600 * US_PER_SECOND  # an upstream or an alarm is told of once in so long
# What is told of as `upstream_refused`.
_TOLD_OTHERWISE: Final = frozenset({"upstream_auth", "upstream_money"})


class Watching:
    """Used on the loop alone."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        directory: Directory,
        registry: UpstreamRegistry,
        *,
        budgets: Budgets,
        refused: RefusedCalls,
        spending: Spending,
        alarms: Callable[[], Mapping[str, int]],
        writer: Writer,
        clock: Clock,
    ) -> None:
        """*alarms*: how often each was raised since the start."""
        self._subscriptions = subscriptions
        self._directory = directory
        self._registry = registry
        self._budgets = budgets
        self._refused = refused
        self._spending = spending
        self._alarms = alarms
        self._writer = writer
        self._clock = clock
        self._spending_at_s = 0.0
        self._raised: Mapping[str, int] = {}
        self._refusing: set[tuple[str, Refusal]] = set()  # upstreams, and what for

    async def look(self) -> None:
        """Once every few seconds: post what is new."""
        await self._look_at_calls()
        now_s = self._clock.monotonic_s()
        if self._subscriptions.wants("unusual_spend") and now_s >= self._spending_at_s:
            self._spending_at_s = now_s + SPENDING_S
            await post_all(self._writer, await self._spending.look())
        await self._look_at_upstreams()
        await self._look_at_alarms()

    async def _look_at_calls(self) -> None:
        wants = self._subscriptions.wants
        of_members, of_groups = wants("member_budget"), wants("shared_budget")
        of_keys = wants("revoked_key_used")
        if not (of_members or of_groups or of_keys):
            return
        refused = await self._refused.look(self._subscriptions.since_us)
        if of_keys:
            workspace_id = self._directory.workspace.id
            found = {
                notice.once: notice
                for call in refused
                if call.error == "key_revoked"
                for notice in (revoked_key_used(call, workspace_id),)
            }
            await post_all(self._writer, list(found.values()))
        if of_members or of_groups:
            short = {call.member_id for call in refused if call.error == "insufficient_quota"}
            told = await self._budgets.look(
                of_members=of_members, of_groups=of_groups, refused=short
            )
            await post_all(self._writer, told)
            self._budgets.told(told)
        self._refused.dealt_with()

    async def _look_at_upstreams(self) -> None:
        refusing: set[tuple[str, Refusal]] = set()
        for record in self._directory.upstreams():
            live = self._registry.get(record.name)
            why = None if live is None else live.circuit.refused_for
            # An account without money says so in so many words; one refused credential proves little.
            if live is not None and why is not None and (live.circuit.is_open or why == "money"):
                refusing.add((record.name, why))
        if self._subscriptions.wants("upstream_refused"):
            found = [
                Notice(
                    kind="upstream_refused",
                    workspace_id=self._directory.workspace.id,
                    facts={"upstream": name, "reason": why},
                    once=f"upstream_refused:{name}:{why}:{self._clock.now_us() // AGAIN_US}",
                )
                for name, why in sorted(refusing - self._refusing)
            ]
            await post_all(self._writer, found)
        self._refusing = refusing

    async def _look_at_alarms(self) -> None:
        raised, before = dict(self._alarms()), self._raised
        if self._subscriptions.wants("alarm"):
            found = [
                Notice(
                    kind="alarm",
                    workspace_id=self._directory.workspace.id,
                    facts={"alarm": name, "count": count - before.get(name, 0)},
                    once=f"alarm:{name}:{self._clock.now_us() // AGAIN_US}",
                )
                for name, count in sorted(raised.items())
                if count > before.get(name, 0) and name not in _TOLD_OTHERWISE
            ]
            await post_all(self._writer, found)
        self._raised = raised
