"""Groups."""

from __future__ import annotations

from tuckshop.api.handlers.resetting import ResetQuery
from tuckshop.api.routing import Call
from tuckshop.services.groups import Listed
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.shapes.groups import GroupChange, GroupReset, NewGroup
from tuckshop.services.shapes.parts import Sent


class GroupQuery(Sent, frozen=True, kw_only=True):
    """Which groups are listed; archived ones only by their state."""

    state: Listed | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


async def create_group(call: Call) -> object:
    return await call.services.groups.create(call.actor, call.body_as(NewGroup), claim=call.claim)


async def list_groups(call: Call) -> object:
    query = call.query_as(GroupQuery)
    return await call.services.groups.page(
        call.actor, state=query.state, cursor=query.cursor, limit=query.limit
    )


async def show_group(call: Call) -> object:
    return await call.services.groups.get(call.actor, call.path["group"])


async def change_group(call: Call) -> object:
    return await call.services.groups.change(
        call.actor, call.path["group"], call.body_as(GroupChange), expected=call.expected
    )


async def archive_group(call: Call) -> object:
    return await call.services.groups.set_state(
        call.actor, call.path["group"], "archived", expected=call.expected
    )


async def pause_group(call: Call) -> object:
    return await call.services.groups.set_state(call.actor, call.path["group"], "paused")


async def resume_group(call: Call) -> object:
    return await call.services.groups.set_state(call.actor, call.path["group"], "active")


async def reset_group(call: Call) -> object:
    return await call.services.groups.reset(
        call.actor,
        call.path["group"],
        call.body_as(GroupReset),
        with_total=call.query_as(ResetQuery).total,
    )
