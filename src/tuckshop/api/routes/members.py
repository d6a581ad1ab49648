"""Members and rosters."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import members
from tuckshop.api.handlers.resetting import ResetQuery
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import CSV_TYPE, JSON_TYPE, Route
from tuckshop.services.shapes.bulk import BulkReport, MemberBulk
from tuckshop.services.shapes.members import MemberChange, MemberPage, MemberShape, NewMember
from tuckshop.services.shapes.rosters import Roster, RosterPreview

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "assistant",
        "group",
        "POST",
        "/groups/{group}/members",
        members.add_members,
        Roster,
        "Add or update members: one, a list, or the CSV file of a learning platform",
        request=NewMember | list[NewMember],
        raw_body=True,
        media_types=(JSON_TYPE, CSV_TYPE),
        query=members.RosterQuery,
        status=201,
        makes=True,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/groups/{group}/members/preview",
        members.preview_roster,
        RosterPreview,
        "Tell what importing a CSV file would do, line by line",
        request=str,
        raw_body=True,
        media_types=(CSV_TYPE,),
        query=members.PreviewQuery,
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/groups/{group}/members",
        members.list_group_members,
        MemberPage,
        "List a group's members",
        query=members.GroupMemberQuery,
    ),
    row(
        "viewer",
        "rows",
        "GET",
        "/members",
        members.list_members,
        MemberPage,
        "Find members",
        query=members.MemberQuery,
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/members/{member}",
        members.show_member,
        MemberShape,
        "Show a member",
    ),
    row(
        "assistant",
        "group",
        "PATCH",
        "/members/{member}",
        members.change_member,
        MemberShape,
        "Change a member",
        request=MemberChange,
    ),
    row(
        "owner",
        "group",
        "DELETE",
        "/members/{member}",
        members.archive_member,
        MemberShape,
        "Archive a member",
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/members/{member}/pause",
        members.pause_member,
        MemberShape,
        "Pause a member",
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/members/{member}/resume",
        members.resume_member,
        MemberShape,
        "Resume a member",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/members/{member}/reset",
        members.reset_member,
        MemberShape,
        "Start a member's running windows afresh",
        query=ResetQuery,
    ),
    row(
        "owner",
        "rows",
        "POST",
        "/members/bulk",
        members.do_to_members,
        BulkReport,
        "Pause, resume, archive or reset all members that a filter finds; a dry run first",
        request=MemberBulk,
    ),
)
