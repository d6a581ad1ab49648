"""How limits stand, as the API shows it: money in USD, the rest in counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from tuckshop.domain.actor import Actor
from tuckshop.domain.limits import Metric
from tuckshop.domain.money import usd
from tuckshop.domain.policy import Policy, policy_of
from tuckshop.domain.records import Group, Holder, Member, VirtualKey, Workspace
from tuckshop.domain.reservation import LimitInForce, LimitState, Scope
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.fields import rfc3339
from tuckshop.services.shapes.parts import Usd
from tuckshop.services.shapes.standing import LimitStanding

# A key that restricts nothing, to read a member's policy by.
_ANY_KEY: Final = VirtualKey(
    id="",
    group_id="",
    member_id="",
    name=None,
    digest=b"",
    last4="",
    limits=(),
    models=None,
    endpoints=None,
    max_output_tokens=None,
    tags=(),
    expires_at_us=None,
    state="active",
)


def limits_of_member(member: Member, group: Group, workspace: Workspace) -> list[LimitInForce]:
    """Every limit that holds for *member* with whatever key."""
    return list(policy_of_member(member, group, workspace).limits)


def policy_of_member(member: Member, group: Group, workspace: Workspace) -> Policy:
    """The policy that holds for *member* with a key that narrows nothing."""
    return policy_of(
        Holder(key=_ANY_KEY, member=member, group=group, workspace=workspace, directory_version=0)
    )


def limits_of_group(group: Group, workspace: Workspace) -> list[LimitInForce]:
    """The limits that *group*'s members share, and those of all groups together."""
    shared = Scope("group", group.id)
    own = [
        LimitInForce(scope=shared, limit=limit, zone=group.zone, amounts_visible=True)
        for limit in group.shared
    ]
    return own + limits_of_workspace(workspace)


def limits_of_workspace(workspace: Workspace) -> list[LimitInForce]:
    """The limits of all groups together."""
    everyone = Scope("workspace", workspace.id)
    return [
        LimitInForce(scope=everyone, limit=limit, zone=workspace.zone, amounts_visible=True)
        for limit in workspace.limits
    ]


async def standings_of(
    ledger: Ledger, chains: Sequence[Sequence[LimitInForce]], actor: Actor
) -> list[list[LimitStanding]]:
    """Each of *chains* with how its limits stand, as *actor* may see them, read in one step."""
    wanted = list(dict.fromkeys(limit for chain in chains for limit in chain))
    states = await ledger.states(wanted)
    found = {limit: _seen_by(actor, state) for limit, state in zip(wanted, states, strict=True)}
    return [[found[limit] for limit in chain] for chain in chains]


def shown(state: LimitState) -> LimitStanding:
    """A limit's state, for staff."""
    in_usd = state.limit.metric is Metric.MONEY

    def amount(value: int) -> Usd | int:
        return usd(value) if in_usd else value

    return LimitStanding(
        limit=str(state.limit),
        scope=state.scope.kind,
        used=amount(state.used),
        reserved=amount(state.reserved),
        remaining=amount(state.remaining),
        lifted=usd(state.lift) if in_usd and state.lift > 0 else UNSET,
        resets_at=None if state.resets_at_us is None else rfc3339(state.resets_at_us),
    )


def shown_to_holder(state: LimitState) -> LimitStanding:
    """A limit's state, for a key that it binds: with amounts where it may see them."""
    return shown(state) if state.amounts_visible else without_amounts(state)


def without_amounts(state: LimitState) -> LimitStanding:
    """Whether a limit has room; what is only held counts as available."""
    return LimitStanding(
        limit=str(state.limit),
        scope=state.scope.kind,
        state="used up" if state.used >= state.limit.amount else "available",
    )


def _seen_by(actor: Actor, state: LimitState) -> LimitStanding:
    # What all groups used together would tell staff of one what the others used (K5).
    is_of_all = state.scope.kind in ("workspace", "upstream")
    return without_amounts(state) if is_of_all and actor.groups is not None else shown(state)
