"""Members and rosters."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from tuckshop.api.handlers.resetting import ResetQuery
from tuckshop.api.problems import FieldProblem, ProblemError, field_problem
from tuckshop.api.reading import check_json, decode
from tuckshop.api.routing import CSV_TYPE, Call
from tuckshop.services.groups import Listed
from tuckshop.services.members import ROSTER_MAX_ROWS
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.reissuing import Reissue
from tuckshop.services.roster import RosterLine
from tuckshop.services.search import SearchText
from tuckshop.services.shapes.bulk import MemberBulk
from tuckshop.services.shapes.members import MemberChange, NewMember
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.rosters import RowError

_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class PreviewQuery(Sent, frozen=True, kw_only=True):
    """Which column of a file is the external id, where its header leaves a choice."""

    id_column: str | None = None


class RosterQuery(PreviewQuery, frozen=True, kw_only=True):
    """
    Whether each member without an active key gets one, and the others a new secret; the rest is for files alone.

    `overlap` (`24h`) is how long the secrets that `reissue` replaces open on; unsaid, not at all.
    """

    issue_keys: bool = False
    reissue: bool = False
    overlap: str | None = None
    as_new: bool = False
    pause_missing: bool = False


class GroupMemberQuery(Sent, frozen=True, kw_only=True):
    """Which members of a group are listed; archived ones only by their state."""

    external_id: str | None = None
    email: str | None = None
    q: SearchText | None = None
    state: Listed | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


class MemberQuery(GroupMemberQuery, frozen=True, kw_only=True):
    """Which members are listed; archived ones only by their state."""

    group: str | None = None


async def add_members(call: Call) -> object:
    body = call.body_as(bytes)
    query = call.query_as(RosterQuery)
    reissue = _reissue(query)
    if call.media_type == CSV_TYPE:
        return await call.services.rosters.take(
            call.actor,
            call.path["group"],
            body,
            id_column=query.id_column,
            issue_keys=query.issue_keys,
            reissue=reissue,
            as_new=query.as_new,
            pause_missing=query.pause_missing,
            claim=call.claim,
        )
    if query.as_new or query.pause_missing or query.id_column is not None:
        raise ProblemError(
            422, "as_new, pause_missing and id_column are for files: send them with text/csv."
        )
    is_list = body.lstrip(b" \t\r\n").startswith(b"[")
    if is_list:
        lines = await asyncio.to_thread(roster_lines, body)
    else:
        lines = [RosterLine(1, await decode(body, NewMember))]
    roster = await call.services.members.add(
        call.actor,
        call.path["group"],
        lines,
        issue_keys=query.issue_keys,
        reissue=reissue,
        claim=call.claim,
    )
    if roster.errors and not is_list:
        raise ProblemError(
            422,
            f"{roster.errors[0].field}: {roster.errors[0].message}",
            errors=[FieldProblem(error.field or "", error.message) for error in roster.errors],
        )
    return roster


async def preview_roster(call: Call) -> object:
    return await call.services.rosters.preview(
        call.actor,
        call.path["group"],
        call.body_as(bytes),
        id_column=call.query_as(PreviewQuery).id_column,
    )


async def list_group_members(call: Call) -> object:
    query = call.query_as(GroupMemberQuery)
    return await call.services.members.page(
        call.actor,
        group=call.path["group"],
        external_id=query.external_id,
        email=query.email,
        q=query.q,
        state=query.state,
        cursor=query.cursor,
        limit=query.limit,
    )


async def list_members(call: Call) -> object:
    query = call.query_as(MemberQuery)
    return await call.services.members.page(
        call.actor,
        group=query.group,
        external_id=query.external_id,
        email=query.email,
        q=query.q,
        state=query.state,
        cursor=query.cursor,
        limit=query.limit,
    )


async def show_member(call: Call) -> object:
    return await call.services.members.get(call.actor, call.path["member"])


async def change_member(call: Call) -> object:
    return await call.services.members.change(
        call.actor, call.path["member"], call.body_as(MemberChange), expected=call.expected
    )


async def archive_member(call: Call) -> object:
    return await call.services.members.set_state(
        call.actor, call.path["member"], "archived", expected=call.expected
    )


async def pause_member(call: Call) -> object:
    return await call.services.members.set_state(call.actor, call.path["member"], "paused")


async def resume_member(call: Call) -> object:
    return await call.services.members.set_state(call.actor, call.path["member"], "active")


async def reset_member(call: Call) -> object:
    return await call.services.members.reset(
        call.actor, call.path["member"], with_total=call.query_as(ResetQuery).total
    )


def _reissue(query: RosterQuery) -> Reissue | None:
    if query.reissue and not query.issue_keys:
        raise ProblemError(422, "reissue goes with issue_keys=true: say both.")
    if query.overlap is not None and not query.reissue:
        raise ProblemError(422, "overlap is how long secrets open on that reissue=true replaces.")
    return Reissue.of(query.overlap) if query.reissue else None


async def do_to_members(call: Call) -> object:
    return await call.services.bulk.members(call.actor, call.body_as(MemberBulk))


def roster_lines(body: bytes) -> list[RosterLine]:
    """
    The rows of a list of members, each read for itself, so that one that fails stops no other.

    Raises:
        ProblemError: It is not a list, or longer than is taken at once.
    """
    check_json(body)
    try:
        rows = _RAW_ROWS.decode(body)
    except msgspec.ValidationError as error:
        problem = field_problem(error)
        raise ProblemError(422, problem.message, errors=[problem]) from None
    except msgspec.DecodeError as error:
        raise ProblemError(400, f"The body cannot be read: {error}.") from None
    if len(rows) > ROSTER_MAX_ROWS:
        raise ProblemError(422, f"A list has at most {ROSTER_MAX_ROWS} rows.")
    return [RosterLine(line, _roster_row(line, row)) for line, row in enumerate(rows, 1)]


def _roster_row(line: int, row: Any) -> NewMember | RowError:
    try:
        return msgspec.json.decode(row, type=NewMember)
    except msgspec.ValidationError as error:
        problem = field_problem(error)
        return RowError(line=line, field=problem.field or None, message=problem.message)
