"""
How policies meet: what holds for one key, out of its workspace, group, member and itself.

Allow-lists intersect (None: no restriction from here; empty: nothing), caps take the minimum, all limits hold at
once, and so do all checks (`domain.moderation`). One exception: a member's own limit of the same metric, selector and
window replaces the group's `each`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tuckshop.domain.globs import can_overlap, matches
from tuckshop.domain.limits import Limit, Metric
from tuckshop.domain.moderation import Checks, checks_of
from tuckshop.domain.records import Holder, OnDisconnect, UnknownParameters
from tuckshop.domain.reservation import CarryOver, LimitInForce, Scope
from tuckshop.domain.windows import ZoneHistory

AllowList = tuple[str, ...]

MAX_ALLOWED_SHOWN: Final = 100  # names that a refusal lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a key may do, merged once and kept for as long as the directory stays the same."""

    model_lists: tuple[AllowList, ...]  # a model must be in each of them
    endpoint_lists: tuple[AllowList, ...]  # an endpoint group, too
    opened_by_name: frozenset[str]  # endpoint groups opened although they are off by default
    max_output_tokens: int | None
    limits: tuple[LimitInForce, ...]
    # The group's alone:
    min_output_tokens: int
    patience_s: float
    on_disconnect: OnDisconnect
    unknown_parameters: UnknownParameters
    show_shared: bool
    max_input_tokens: int | None = None
    # Of workspace and group together:
    moderation: Checks | None = None  # None: nothing is checked

    def may_model(self, model: str) -> bool:
        """Whether *model*, a resolved id, may be used. A listed name does not cover its dated snapshots (K9)."""
        return all(_lists(names, model) for names in self.model_lists)

    def allowed_models(self) -> AllowList:
        """The models that may be used, as names and globs, for a refusal or a page to show. ("*",): any."""
        return _in_all(self.model_lists)

    def may_endpoint(self, group: str, *, default_open: bool) -> bool:
        """
        Whether the endpoints of *group* may be used.

        Args:
            group: Such as ``chat``.
            default_open: Its cost is known and its objects are isolated. What is not, is opened by its full name
                only: a glob with ``*`` never does, and a key alone never does, as keys only narrow.
        """
        if not default_open:
            return group in self.opened_by_name
        return all(_lists(names, group) for names in self.endpoint_lists)

    def allowed_endpoints(self) -> AllowList:
        """The endpoint groups that may be used, as names and globs. ("*",): all that are open by default."""
        return _in_all(self.endpoint_lists)


def policy_of(holder: Holder) -> Policy:
    """The policy that holds for the key at the end of *holder*."""
    group = holder.group
    chain = (holder.workspace, group, holder.member, holder.key)
    model_lists = tuple(level.models for level in chain if level.models is not None)
    endpoint_lists = tuple(level.endpoints for level in chain if level.endpoints is not None)
    caps = [cap for level in chain if (cap := level.max_output_tokens) is not None]
    return Policy(
        model_lists=model_lists,
        endpoint_lists=endpoint_lists,
        opened_by_name=_opened_by_name(holder, endpoint_lists),
        max_output_tokens=min(caps, default=None),
        max_input_tokens=None if group.rules is None else group.rules.max_input_tokens,
        limits=_limits_of(holder),
        moderation=checks_of(holder.workspace.moderation, group.moderation),
        min_output_tokens=group.min_output_tokens,
        patience_s=group.patience_s,
        on_disconnect=group.on_disconnect,
        unknown_parameters=group.unknown_parameters,
        show_shared=group.show_shared,
    )


def limits_for(
    policy: Policy, model: str, aliases: tuple[str, ...], endpoint_group: str
) -> tuple[LimitInForce, ...]:
    """The limits a call takes from: those of *policy* whose selector covers it."""
    return tuple(
        one for one in policy.limits if one.limit.selector.covers(model, aliases, endpoint_group)
    )


def may_carry(limit: Limit) -> bool:
    """May a window of *limit*, of a member, leave something to the next one? Money of calendar windows may."""
    return limit.metric is Metric.MONEY and limit.window in ("day", "week", "month", "year")


def _limits_of(holder: Holder) -> tuple[LimitInForce, ...]:
    group, member = holder.group, holder.member
    own_kinds = {limit.kind for limit in member.limits}
    each = (limit for limit in group.each if limit.kind not in own_kinds)
    key_scope = Scope("key", holder.key.id)
    member_scope = Scope("member", member.id)
    workspace_scope = Scope("workspace", holder.workspace.id)
    return (
        *_in_force(holder.key.limits, key_scope, group.zone),
        *_in_force((*member.limits, *each), member_scope, group.zone, carry=group.carry_over),
        *_in_force(group.shared, Scope("group", group.id), group.zone, visible=group.show_shared),
        *_in_force(holder.workspace.limits, workspace_scope, holder.workspace.zone, visible=False),
    )


def _in_force(
    limits: Iterable[Limit],
    scope: Scope,
    zone: ZoneHistory,
    *,
    visible: bool = True,
    carry: CarryOver | None = None,
) -> Iterable[LimitInForce]:
    return (
        LimitInForce(
            scope=scope,
            limit=limit,
            zone=zone,
            amounts_visible=visible,
            carry=carry if may_carry(limit) else None,
        )
        for limit in limits
    )


def _opened_by_name(holder: Holder, lists: tuple[AllowList, ...]) -> frozenset[str]:
    """The full names that every list has, if there is a list beside the key's."""
    above_key = (holder.workspace.endpoints, holder.group.endpoints, holder.member.endpoints)
    if all(names is None for names in above_key):
        return frozenset()
    common = set(lists[0]).intersection(*lists[1:])
    return frozenset(name for name in common if "*" not in name)


def _lists(names: AllowList, name: str) -> bool:
    return any(matches(glob, name) for glob in names)


def _in_all(lists: tuple[AllowList, ...]) -> AllowList:
    """What all lists cover, as text. Two globs of which neither is the wider one are named together."""
    allowed: list[AllowList] = [("*",)] if not lists else [(glob,) for glob in lists[0]]
    for names in lists[1:]:
        pairs = ((globs, name) for globs in allowed for name in names)
        allowed = [both for globs, name in pairs if (both := _narrowed(globs, name)) is not None]
    texts = dict.fromkeys(" that is also ".join(globs) for globs in allowed)
    return tuple(texts)[:MAX_ALLOWED_SHOWN]


def _narrowed(globs: AllowList, by: str) -> AllowList | None:
    """What all of *globs* and *by* cover, in as few globs as can be; None where that is nothing."""
    # Only a "*" covers a "*", so one glob covers the text of another only where it covers all its names.
    if any(matches(by, glob) for glob in globs):
        return globs
    if not all(can_overlap(glob, by) for glob in globs):
        return None
    return (*(glob for glob in globs if not matches(glob, by)), by)
