"""Keys."""

from __future__ import annotations

from tuckshop.api.handlers.resetting import ResetQuery
from tuckshop.api.routing import Call
from tuckshop.services.keys import ListedKeys
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.shapes.bulk import KeyBulk
from tuckshop.services.shapes.finding import FindKeys
from tuckshop.services.shapes.keys import KeyChange, NewKey, Rotation
from tuckshop.services.shapes.parts import Sent


class MemberKeyQuery(Sent, frozen=True, kw_only=True):
    """Which keys of a member are listed; archived ones only by their state."""

    state: ListedKeys | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


class KeyQuery(MemberKeyQuery, frozen=True, kw_only=True):
    """Which keys are listed; archived ones only by their state."""

    member: str | None = None
    group: str | None = None


async def issue_key(call: Call) -> object:
    return await call.services.keys.issue(
        call.actor, call.path["member"], call.body_as(NewKey), claim=call.claim
    )


async def list_member_keys(call: Call) -> object:
    query = call.query_as(MemberKeyQuery)
    return await call.services.keys.page(
        call.actor,
        member=call.path["member"],
        state=query.state,
        cursor=query.cursor,
        limit=query.limit,
    )


async def list_keys(call: Call) -> object:
    query = call.query_as(KeyQuery)
    return await call.services.keys.page(
        call.actor,
        member=query.member,
        group=query.group,
        state=query.state,
        cursor=query.cursor,
        limit=query.limit,
    )


async def show_key(call: Call) -> object:
    return await call.services.keys.get(call.actor, call.path["key"])


async def change_key(call: Call) -> object:
    return await call.services.keys.change(
        call.actor, call.path["key"], call.body_as(KeyChange), expected=call.expected
    )


async def delete_key(call: Call) -> object:
    return await call.services.keys.delete(call.actor, call.path["key"], expected=call.expected)


async def pause_key(call: Call) -> object:
    return await call.services.keys.set_state(call.actor, call.path["key"], "pause")


async def resume_key(call: Call) -> object:
    return await call.services.keys.set_state(call.actor, call.path["key"], "resume")


async def revoke_key(call: Call) -> object:
    return await call.services.keys.set_state(call.actor, call.path["key"], "revoke")


async def archive_key(call: Call) -> object:
    return await call.services.keys.set_state(call.actor, call.path["key"], "archive")


async def reset_key(call: Call) -> object:
    return await call.services.keys.reset(
        call.actor, call.path["key"], with_total=call.query_as(ResetQuery).total
    )


async def rotate_key(call: Call) -> object:
    return await call.services.keys.rotate(call.actor, call.path["key"], call.body_as(Rotation))


async def do_to_keys(call: Call) -> object:
    return await call.services.bulk.keys(call.actor, call.body_as(KeyBulk))


async def find_keys(call: Call) -> object:
    return await call.services.key_finding.find(call.actor, call.body_as(FindKeys).text)
