"""Holding staff to what they have: the rules of `domain/authority.py`, over rows as a change finds and leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from tuckshop.domain.actor import Actor
from tuckshop.domain.authority import Authority, Beyond, beyond_in_more_money
from tuckshop.domain.errors import NotPermittedError
from tuckshop.domain.records import Group
from tuckshop.services.changes import Edit
from tuckshop.storage.rows import group_of, member_of
from tuckshop.storage.schema import groups

Columns = Mapping[str, Any]


def refuse(beyond: Sequence[Beyond]) -> None:
    """
    Raises:
        NotPermittedError: There is something that the actor does not hold.
    """
    if beyond:
        raise NotPermittedError(" ".join(map(str, beyond)))


def check_group(authority: Authority, actor: Actor, before: Columns, after: Columns) -> None:
    """
    Whether *actor* may make the row *before* of a group say *after*.

    Raises:
        NotPermittedError: It would give more than the actor holds.
    """
    if not actor.is_at_least("operator"):
        refuse(authority.beyond_in_group(actor, group_of(before), group_of({**before, **after})))


def check_member(
    authority: Authority, actor: Actor, group: Group, before: Columns, after: Columns
) -> None:
    """
    The same of a member's row.

    Raises:
        NotPermittedError: It would give more than the actor holds.
    """
    if not actor.is_at_least("operator"):
        old, new = member_of(before), member_of({**before, **after})
        refuse(authority.beyond_in_member(actor, group, old, new))


def check_more_money(edit: Edit, group_id: str, *, what: str) -> None:
    """
    Whether whoever makes *edit* may give members of a group more money, by what the group is as *edit* finds it.

    Judged before, a shared limit that is lifted meanwhile would still be taken for a bound.

    Args:
        what: A reset, a grant.
    Raises:
        NotPermittedError: It would give more than the actor holds.
    """
    if not edit.actor.is_at_least("operator"):
        refuse(beyond_in_more_money(edit.actor, group_in(edit, group_id), what=what))


def group_in(edit: Edit, group_id: str) -> Group:
    """A group that is here, as *edit* finds it."""
    query = select(groups).where(
        groups.c.workspace_id == edit.workspace_id, groups.c.id == group_id
    )
    return group_of(edit.connection.execute(query).mappings().one())
