"""
What staff may change: nobody grants more than they hold (K6).

The operator gives a group its policy, and what its members share is what its owner holds. So an owner changes that
policy only to narrow it. Below a shared limit on all money the owner deals it out freely, whatever each member gets:
the sum stands. Without such a limit each member's own budget is all that bounds the money, and is only narrowed. An
assistant decides who is in the group and who has a key, and never how much.

Every field of a group and a member has its rule here; one without a rule would be the operator's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, TypeVar

from tuckshop.domain.actor import Actor
from tuckshop.domain.globs import matches
from tuckshop.domain.limits import Limit, Metric, Selector
from tuckshop.domain.records import Group, Member

AllowList = tuple[str, ...]
T = TypeVar("T")
# Given a group before and after, why that is more than its owner holds; None: it is not.
Rule = Callable[[Group, Group], str | None]

ASK_OPERATOR: Final = "The operator can do it."
ASK_OWNER: Final = "An owner of the group can do it, or the operator."
_NOT_HELD: Final = "is not an owner's to change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """A field that would give more than the actor holds, and what is held."""

    field: str
    reason: str
    ask: str = ASK_OPERATOR

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}. {self.ask}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The rules, over the endpoint groups that this server opens by default: others are opened by name."""

    open_endpoints: Collection[str]

    def beyond_in_group(self, actor: Actor, before: Group, after: Group) -> list[Beyond]:
        """What of this change of a group is more than *actor* holds."""
        if actor.is_at_least("operator"):
            return []
        rules: Mapping[str, Rule] = {**_OWNERS_RULES, "endpoints": self._endpoints}
        found = []
        for name in _changed(before, after):
            reason = rules.get(name, _not_held)(before, after)
            if reason is not None:
                found.append(Beyond(field=name, reason=reason))
        return found

    def beyond_in_member(
        self, actor: Actor, group: Group, before: Member, after: Member
    ) -> list[Beyond]:
        """The same of a member of *group*; one who is new was before what a member is who has nothing set."""
        if actor.is_at_least("operator"):
            return []
        changed = _changed(before, after)
        if not actor.is_at_least("owner"):
            reason = "your token has the role assistant, which leaves what members may use as it is"
            return [
                Beyond(field=name, reason=reason, ask=ASK_OWNER)
                for name in changed
                if name not in _ASSISTANTS_OF_MEMBERS
            ]
        found = []
        if "limits" in changed and not has_shared_money(group):
            loosened = first_loosened(_effective(group, before), _effective(group, after))
            if loosened is not None:
                found.append(Beyond(field="limits", reason=_loosens(loosened)))
        if "endpoints" in changed:
            held = {*(group.endpoints or ()), *(before.endpoints or ())}
            opened = [name for name in after.endpoints or () if self._is_closed(name, held)]
            if opened:
                reason = f"{opened[0]} is opened by its name, which the group does not have"
                found.append(Beyond(field="endpoints", reason=reason))
        # Models and cap of a member only narrow their group's, however they change.
        known = {*_ASSISTANTS_OF_MEMBERS, "limits", "endpoints", "models", "max_output_tokens"}
        return found + [Beyond(field=n, reason=_NOT_HELD) for n in changed if n not in known]

    def _endpoints(self, before: Group, after: Group) -> str | None:
        opened = first_opened(before.endpoints, after.endpoints)
        if opened is None:
            held = before.endpoints or ()
            opened = next((n for n in after.endpoints or () if self._is_closed(n, held)), None)
        return None if opened is None else _opens(opened, before.endpoints)

    def _is_closed(self, name: str, held: Collection[str]) -> bool:
        """Whether *name* would open what nothing but its name opens, and no list has it yet."""
        return "*" not in name and name not in self.open_endpoints and name not in held


def beyond_in_more_money(actor: Actor, group: Group, *, what: str) -> list[Beyond]:
    """Whether *what* (a reset, a grant) gives members of *group* more money than the actor holds."""
    if actor.is_at_least("operator") or has_shared_money(group):
        return []
    reason = (
        "gives more money, and no shared limit on all money, such as $50/month, bounds the group"
    )
    return [Beyond(field=what, reason=reason)]


def beyond_as_assistant(actor: Actor, *, what: str) -> list[Beyond]:
    """Whether *what* (a reset of a key's own limits) is only for owners, and the actor is none."""
    if actor.is_at_least("owner"):
        return []
    return [Beyond(field=what, reason=f"your token has the role {actor.role}", ask=ASK_OWNER)]


def beyond_in_shared_reset(actor: Actor) -> list[Beyond]:
    """Whether starting afresh what a group shares is more than the actor holds."""
    if actor.is_at_least("operator"):
        return []
    return [Beyond(field="what", reason="what the group shares would be there to spend again")]


def has_shared_money(group: Group) -> bool:
    """Whether one sum bounds all money that the members of *group* spend."""
    return any(
        limit.metric is Metric.MONEY and limit.selector == Selector() for limit in group.shared
    )


def first_loosened(before: Sequence[Limit], after: Sequence[Limit]) -> Limit | None:
    """The first limit of *before* that *after* holds no more: gone, or with a larger amount."""
    least: dict[object, int] = {}
    for limit in after:
        least[limit.kind] = min(limit.amount, least.get(limit.kind, limit.amount))
    for limit in before:
        if limit.kind not in least or least[limit.kind] > limit.amount:
            return limit
    return None


def first_opened(before: AllowList | None, after: AllowList | None) -> str | None:
    """The first glob of *after* that *before* does not cover; ``*`` where a list is lifted."""
    if before is None:
        return None
    if after is None:
        return "*"
    # Only a "*" covers a "*", so a glob covers the text of another only where it covers all its names.
    return next((name for name in after if not any(matches(glob, name) for glob in before)), None)


def _changed(before: T, after: T) -> list[str]:
    names = [field.name for field in fields(before)]  # type: ignore[arg-type]  # of dataclasses
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _effective(group: Group, member: Member) -> list[Limit]:
    own = {limit.kind for limit in member.limits}
    return [*member.limits, *(limit for limit in group.each if limit.kind not in own)]


def _loosens(limit: Limit) -> str:
    return f"what is held is {limit}, and it can only be narrowed while no shared limit on all money bounds the group"


def _opens(name: str, held: AllowList | None) -> str:
    has = "what is open by default" if held is None else ", ".join(held) or "nothing"
    return f"{name} is not within what the group has ({has})"


def _free(before: Group, after: Group) -> None:
    return None


def _not_held(before: Group, after: Group) -> str:
    return _NOT_HELD


def _models(before: Group, after: Group) -> str | None:
    opened = first_opened(before.models, after.models)
    return None if opened is None else _opens(opened, before.models)


def _cap(before: Group, after: Group) -> str | None:
    held, wanted = before.max_output_tokens, after.max_output_tokens
    if held is None or (wanted is not None and wanted <= held):
        return None
    return f"what is held is {held}, and it can only be lowered"


def _each(before: Group, after: Group) -> str | None:
    if has_shared_money(before):
        return None
    loosened = first_loosened(before.each, after.each)
    return None if loosened is None else _loosens(loosened)


def _carry_over(before: Group, after: Group) -> str | None:
    if has_shared_money(before) or after.carry_over is None:
        return None
    held = 0 if before.carry_over is None else before.carry_over.most
    if after.carry_over.most <= held:
        return None
    return "it can only be lowered while no shared limit on all money bounds the group"


def _shared(before: Group, after: Group) -> str | None:
    loosened = first_loosened(before.shared, after.shared)
    if loosened is not None:
        return f"what is held is {loosened}, and it can only be lowered"
    if has_shared_money(after) and not has_shared_money(before):
        return "the first limit on all money says how much there is to deal out"
    return None


def _unknown_parameters(before: Group, after: Group) -> str | None:
    return None if after.unknown_parameters == "refuse" else _NOT_HELD


def _logging(before: Group, after: Group) -> str | None:
    if after.logging.is_within(before.logging):
        return None
    return "it can only be narrowed: fewer bodies, fewer days, fewer readers, the same purpose"


def _state(before: Group, after: Group) -> str | None:
    return _NOT_HELD if "archived" in (before.state, after.state) else None


# `name` is the operator's, since whether a name is free tells of other groups (K5).
_OWNERS_RULES: Final[Mapping[str, Rule]] = {
    "title": _free,
    "zone": _free,
    "each": _each,
    "shared": _shared,
    "carry_over": _carry_over,
    "models": _models,
    "max_output_tokens": _cap,
    "min_output_tokens": _free,
    "patience_s": _free,
    "on_disconnect": _free,
    "unknown_parameters": _unknown_parameters,
    "show_shared": _free,
    "self_rotate": _free,
    "strikes": _free,
    "logging": _logging,
    "rules": _free,
    "pseudonyms": _free,  # on; off is a call of its own, with a reason
    "state": _state,
}
_ASSISTANTS_OF_MEMBERS: Final = frozenset({"external_id", "name", "email", "state"})
