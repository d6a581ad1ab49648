"""What each route does: read the call, ask one service, hand its answer on. No rules live here."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from tuckshop.api.problems import FieldProblem, ProblemError, field_problem
from tuckshop.api.reading import check_json, decode
from tuckshop.api.routing import CSV_TYPE, Call
from tuckshop.api.tables import in_one, table
from tuckshop.services.audit_trail import AuditFilter
from tuckshop.services.groups import Listed
from tuckshop.services.keys import ListedKeys
from tuckshop.services.members import ROSTER_MAX_ROWS
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.request_log import RequestFilter
from tuckshop.services.roster import RosterLine
from tuckshop.services.search import SearchText
from tuckshop.services.shapes import (
    USAGE_SUMS,
    AuditRow,
    BulkCorrection,
    GroupChange,
    GroupReset,
    KeyChange,
    MemberChange,
    NewGroup,
    NewKey,
    NewMember,
    NewUpstream,
    RequestShape,
    Rotation,
    RowError,
    Sent,
    UpstreamChange,
)
from tuckshop.services.usage import UsageQuery, dimensions_of

_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


class GroupQuery(Sent, frozen=True, kw_only=True):
    """Which groups are listed; archived ones only by their state."""

    state: Listed | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


class PreviewQuery(Sent, frozen=True, kw_only=True):
    """Which column of a file is the external id, where its header leaves a choice."""

    id_column: str | None = None


class RosterQuery(PreviewQuery, frozen=True, kw_only=True):
    """Whether each member without an active key gets one; the others are for files alone."""

    issue_keys: bool = False
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


class MemberKeyQuery(Sent, frozen=True, kw_only=True):
    """Which keys of a member are listed; archived ones only by their state."""

    state: ListedKeys | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


class KeyQuery(MemberKeyQuery, frozen=True, kw_only=True):
    """Which keys are listed; archived ones only by their state."""

    member: str | None = None
    group: str | None = None


class UpstreamQuery(Sent, frozen=True, kw_only=True):
    """Which part of the list of upstreams."""

    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


class ResetQuery(Sent, frozen=True, kw_only=True):
    """Whether `total` starts afresh too."""

    total: bool = False


# ── groups ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def create_group(call: Call) -> object:
    return await call.services.groups.create(call.actor, call.body_as(NewGroup))


async def list_groups(call: Call) -> object:
    query = call.query_as(GroupQuery)
    return await call.services.groups.page(
        state=query.state, cursor=query.cursor, limit=query.limit
    )


async def show_group(call: Call) -> object:
    return await call.services.groups.get(call.path["group"])


async def change_group(call: Call) -> object:
    return await call.services.groups.change(
        call.actor, call.path["group"], call.body_as(GroupChange)
    )


async def archive_group(call: Call) -> object:
    return await call.services.groups.set_state(call.actor, call.path["group"], "archived")


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


# ── members ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def add_members(call: Call) -> object:
    body = call.body_as(bytes)
    query = call.query_as(RosterQuery)
    if call.media_type == CSV_TYPE:
        return await call.services.rosters.take(
            call.actor,
            call.path["group"],
            body,
            id_column=query.id_column,
            issue_keys=query.issue_keys,
            as_new=query.as_new,
            pause_missing=query.pause_missing,
        )
    if query != RosterQuery(issue_keys=query.issue_keys):
        raise ProblemError(
            422, "as_new, pause_missing and id_column are for files: send them with text/csv."
        )
    is_list = body.lstrip(b" \t\r\n").startswith(b"[")
    if is_list:
        lines = await asyncio.to_thread(roster_lines, body)
    else:
        lines = [RosterLine(1, await decode(body, NewMember))]
    roster = await call.services.members.add(
        call.actor, call.path["group"], lines, issue_keys=query.issue_keys
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
        call.path["group"],
        call.body_as(bytes),
        id_column=call.query_as(PreviewQuery).id_column,
    )


async def list_group_members(call: Call) -> object:
    query = call.query_as(GroupMemberQuery)
    return await call.services.members.page(
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
        group=query.group,
        external_id=query.external_id,
        email=query.email,
        q=query.q,
        state=query.state,
        cursor=query.cursor,
        limit=query.limit,
    )


async def show_member(call: Call) -> object:
    return await call.services.members.get(call.path["member"])


async def change_member(call: Call) -> object:
    return await call.services.members.change(
        call.actor, call.path["member"], call.body_as(MemberChange)
    )


async def archive_member(call: Call) -> object:
    return await call.services.members.set_state(call.actor, call.path["member"], "archived")


async def pause_member(call: Call) -> object:
    return await call.services.members.set_state(call.actor, call.path["member"], "paused")


async def resume_member(call: Call) -> object:
    return await call.services.members.set_state(call.actor, call.path["member"], "active")


async def reset_member(call: Call) -> object:
    return await call.services.members.reset(
        call.actor, call.path["member"], with_total=call.query_as(ResetQuery).total
    )


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


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def issue_key(call: Call) -> object:
    return await call.services.keys.issue(call.actor, call.path["member"], call.body_as(NewKey))


async def list_member_keys(call: Call) -> object:
    query = call.query_as(MemberKeyQuery)
    return await call.services.keys.page(
        member=call.path["member"], state=query.state, cursor=query.cursor, limit=query.limit
    )


async def list_keys(call: Call) -> object:
    query = call.query_as(KeyQuery)
    return await call.services.keys.page(
        member=query.member,
        group=query.group,
        state=query.state,
        cursor=query.cursor,
        limit=query.limit,
    )


async def show_key(call: Call) -> object:
    return await call.services.keys.get(call.path["key"])


async def change_key(call: Call) -> object:
    return await call.services.keys.change(call.actor, call.path["key"], call.body_as(KeyChange))


async def delete_key(call: Call) -> object:
    return await call.services.keys.delete(call.actor, call.path["key"])


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


# ── upstreams ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def add_upstream(call: Call) -> object:
    return await call.services.upstreams.add(call.actor, call.body_as(NewUpstream))


async def list_upstreams(call: Call) -> object:
    query = call.query_as(UpstreamQuery)
    return await call.services.upstreams.page(cursor=query.cursor, limit=query.limit)


async def show_upstream(call: Call) -> object:
    return await call.services.upstreams.get(call.path["upstream"])


async def change_upstream(call: Call) -> object:
    return await call.services.upstreams.change(
        call.actor, call.path["upstream"], call.body_as(UpstreamChange)
    )


async def remove_upstream(call: Call) -> object:
    return await call.services.upstreams.remove(call.actor, call.path["upstream"])


async def test_upstream(call: Call) -> object:
    return await call.services.upstreams.test(call.path["upstream"])


# ── log, reports, prices, oneself ─────────────────────────────────────────────────────────────────────────────────


async def list_requests(call: Call) -> object:
    chosen = call.query_as(RequestFilter)
    log = call.services.request_log
    if call.table_type is not None:
        rows = log.all(chosen)
        return await table("requests", RequestShape.__struct_fields__, rows, call.table_type)
    return await log.page(chosen)


async def show_request(call: Call) -> object:
    return await call.services.request_log.get(call.path["request"])


async def show_usage(call: Call) -> object:
    asked = call.query_as(UsageQuery)
    report = await call.services.usage.report(asked)
    if call.table_type is not None:
        columns = (*dimensions_of(asked.by), *USAGE_SUMS)
        return await table("usage", columns, in_one(report.data), call.table_type)
    return report


async def list_audit(call: Call) -> object:
    chosen = call.query_as(AuditFilter)
    trail = call.services.audit_trail
    if call.table_type is not None:
        rows = trail.all(chosen)
        return await table("audit", AuditRow.__struct_fields__, rows, call.table_type)
    return await trail.page(chosen)


async def check_audit(call: Call) -> object:
    return await call.services.audit_trail.check()


async def list_prices(call: Call) -> object:
    return await call.services.prices.page()


async def correct_calls(call: Call) -> object:
    return await call.services.corrections.correct_unconfirmed(
        call.actor, call.body_as(BulkCorrection)
    )


async def accept_clock(call: Call) -> object:
    return await call.services.server_clock.accept(call.actor)


async def show_me(call: Call) -> object:
    assert call.holder is not None
    return await call.services.mine.show(call.holder)
