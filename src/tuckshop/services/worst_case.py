"""The worst case of a group, as the API shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tuckshop.domain.limits import Limit
from tuckshop.domain.money import usd
from tuckshop.domain.policy import may_carry
from tuckshop.domain.records import Group, Member, Workspace
from tuckshop.domain.worst_case import (
    GroupTerms,
    OwnTerms,
    renews_at_us,
    sentence,
    window_text,
    worst_case,
)
from tuckshop.services.fields import rfc3339
from tuckshop.services.open_grants import OpenGrants
from tuckshop.services.shapes.worst_case import SpendingBound, WorstCaseShape


def worst_case_of(
    group: Group,
    members: Iterable[Member],
    workspace: Workspace,
    now_us: int,
    grants: OpenGrants = OpenGrants(),  # noqa: B008 - frozen
) -> WorstCaseShape:
    """What *members* of *group* can spend at worst, *grants* included; archived ones spend nothing any more."""
    is_same_zone = workspace.zone.current == group.zone.current
    terms = GroupTerms(
        each=_with_carried(group.each, group),
        shared=group.shared,
        above=tuple(limit for limit in workspace.limits if is_same_zone or limit.window == "total"),
        model_lists=tuple(names for names in (workspace.models, group.models) if names is not None),
    )
    people: Counter[OwnTerms] = Counter()
    is_lifted = False
    for member in members:
        if member.state == "archived":
            continue
        own = OwnTerms(_with_carried(member.limits, group), member.models)
        if member.id in grants.amounts:
            granted = _with_grants(own, terms.each, member.id, grants)
            is_lifted = is_lifted or granted is not own
            own = granted
        people[own] += 1
    case = worst_case(terms, people)
    told = sentence(case, group.zone, now_us)
    return WorstCaseShape(
        members=case.members,
        bounds=[
            SpendingBound(
                window=window_text(bound.window),
                amount_usd=usd(bound.amount),
                renews_at=None if end_us is None else rfc3339(end_us),
            )
            for bound in case.bounds
            for end_us in (renews_at_us(bound.window, group.zone, now_us),)
        ],
        sentence=f"{told}; open grants are counted in" if is_lifted and case.bounds else told,
    )


def _with_carried(limits: tuple[Limit, ...], group: Group) -> tuple[Limit, ...]:
    """*limits* of members, as far as they go in a window that took over all that it may."""
    if group.carry_over is None:
        return limits
    most = group.carry_over.most
    return tuple(
        replace(limit, amount=limit.amount + most) if may_carry(limit) else limit
        for limit in limits
    )


def _with_grants(
    own: OwnTerms, each: tuple[Limit, ...], member_id: str, grants: OpenGrants
) -> OwnTerms:
    """*own* with the group's limits that hold for this member, all as far as grants let them go."""
    own_kinds = {limit.kind for limit in own.limits}
    limits = (*own.limits, *(limit for limit in each if limit.kind not in own_kinds))
    lifted = tuple(grants.lifted(member_id, limit) for limit in limits)
    return own if lifted == limits else replace(own, limits=lifted)
