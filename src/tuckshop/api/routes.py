"""The route table of the admin API: every call there is, with who may make it and what goes in and out."""

from __future__ import annotations

from typing import Any, Final

from tuckshop.api.handlers import groups, keys, me, members, reports, server, upstreams
from tuckshop.api.handlers.resetting import ResetQuery
from tuckshop.api.routing import BASE, CSV_TYPE, JSON_TYPE, Handler, Method, Route
from tuckshop.services.audit_trail import AuditFilter
from tuckshop.services.request_log import RequestFilter
from tuckshop.services.shapes.audit import AuditCheck, AuditPage
from tuckshop.services.shapes.clock import ClockAccepted
from tuckshop.services.shapes.corrections import BulkCorrection, CorrectionReport
from tuckshop.services.shapes.groups import GroupChange, GroupPage, GroupReset, GroupShape, NewGroup
from tuckshop.services.shapes.keys import KeyChange, KeyPage, KeyShape, NewKey, Rotation
from tuckshop.services.shapes.me import Me
from tuckshop.services.shapes.members import MemberChange, MemberPage, MemberShape, NewMember
from tuckshop.services.shapes.prices import PricePage
from tuckshop.services.shapes.requests import RequestPage, RequestShape
from tuckshop.services.shapes.rosters import Roster, RosterPreview
from tuckshop.services.shapes.upstreams import (
    NewUpstream,
    UpstreamChange,
    UpstreamPage,
    UpstreamShape,
    UpstreamTest,
)
from tuckshop.services.shapes.usage import UsagePage
from tuckshop.services.usage import UsageQuery


def _admin(
    method: Method, path: str, handler: Handler, response: Any, summary: str, **rest: Any
) -> Route:
    return Route(
        method=method,
        path=BASE + path,
        handler=handler,
        role="admin",
        response=response,
        summary=summary,
        **rest,
    )


def _verb(path: str, handler: Handler, response: Any, summary: str, **rest: Any) -> Route:
    return _admin("POST", path, handler, response, summary, **rest)


_RESET: Final = {"query": ResetQuery}

ROUTES: Final[tuple[Route, ...]] = (
    _admin(
        "POST",
        "/groups",
        groups.create_group,
        GroupShape,
        "Make a group",
        request=NewGroup,
        status=201,
    ),
    _admin("GET", "/groups", groups.list_groups, GroupPage, "List groups", query=groups.GroupQuery),
    _admin("GET", "/groups/{group}", groups.show_group, GroupShape, "Show a group"),
    _admin(
        "PATCH",
        "/groups/{group}",
        groups.change_group,
        GroupShape,
        "Change any part of a group's policy",
        request=GroupChange,
    ),
    _admin("DELETE", "/groups/{group}", groups.archive_group, GroupShape, "Archive a group"),
    _verb("/groups/{group}/pause", groups.pause_group, GroupShape, "Pause a group"),
    _verb("/groups/{group}/resume", groups.resume_group, GroupShape, "Resume a group"),
    _verb(
        "/groups/{group}/reset",
        groups.reset_group,
        GroupShape,
        "Start a group's running windows afresh",
        request=GroupReset,
        body_optional=True,
        **_RESET,
    ),
    _admin(
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
    ),
    _verb(
        "/groups/{group}/members/preview",
        members.preview_roster,
        RosterPreview,
        "Tell what importing a CSV file would do, line by line",
        request=str,
        raw_body=True,
        media_types=(CSV_TYPE,),
        query=members.PreviewQuery,
    ),
    _admin(
        "GET",
        "/groups/{group}/members",
        members.list_group_members,
        MemberPage,
        "List a group's members",
        query=members.GroupMemberQuery,
    ),
    _admin(
        "GET",
        "/members",
        members.list_members,
        MemberPage,
        "Find members",
        query=members.MemberQuery,
    ),
    _admin("GET", "/members/{member}", members.show_member, MemberShape, "Show a member"),
    _admin(
        "PATCH",
        "/members/{member}",
        members.change_member,
        MemberShape,
        "Change a member",
        request=MemberChange,
    ),
    _admin("DELETE", "/members/{member}", members.archive_member, MemberShape, "Archive a member"),
    _verb("/members/{member}/pause", members.pause_member, MemberShape, "Pause a member"),
    _verb("/members/{member}/resume", members.resume_member, MemberShape, "Resume a member"),
    _verb(
        "/members/{member}/reset",
        members.reset_member,
        MemberShape,
        "Start a member's running windows afresh",
        **_RESET,
    ),
    _admin(
        "POST",
        "/members/{member}/keys",
        keys.issue_key,
        KeyShape,
        "Issue a key, shown once",
        request=NewKey,
        body_optional=True,
        status=201,
    ),
    _admin(
        "GET",
        "/members/{member}/keys",
        keys.list_member_keys,
        KeyPage,
        "List a member's keys",
        query=keys.MemberKeyQuery,
    ),
    _admin("GET", "/keys", keys.list_keys, KeyPage, "List keys", query=keys.KeyQuery),
    _admin("GET", "/keys/{key}", keys.show_key, KeyShape, "Show a key"),
    _admin("PATCH", "/keys/{key}", keys.change_key, KeyShape, "Change a key", request=KeyChange),
    _admin("DELETE", "/keys/{key}", keys.delete_key, KeyShape, "Revoke and archive a key"),
    _verb("/keys/{key}/pause", keys.pause_key, KeyShape, "Pause a key"),
    _verb("/keys/{key}/resume", keys.resume_key, KeyShape, "Resume a key"),
    _verb(
        "/keys/{key}/reset",
        keys.reset_key,
        KeyShape,
        "Start the running windows of a key's own limits afresh",
        **_RESET,
    ),
    _verb("/keys/{key}/revoke", keys.revoke_key, KeyShape, "Revoke a key for good"),
    _verb(
        "/keys/{key}/rotate",
        keys.rotate_key,
        KeyShape,
        "Give a key a new secret, shown once",
        request=Rotation,
        body_optional=True,
    ),
    _verb("/keys/{key}/archive", keys.archive_key, KeyShape, "Archive a key"),
    _admin(
        "GET",
        "/requests",
        reports.list_requests,
        RequestPage,
        "Read the request log, newest first",
        query=RequestFilter,
        is_table=True,
    ),
    _admin(
        "GET", "/requests/{request}", reports.show_request, RequestShape, "Show a row of the log"
    ),
    _admin(
        "GET",
        "/usage",
        reports.show_usage,
        UsagePage,
        "Sum up usage",
        query=UsageQuery,
        is_table=True,
    ),
    _admin(
        "GET",
        "/audit",
        reports.list_audit,
        AuditPage,
        "Read what staff did, newest first",
        query=AuditFilter,
        is_table=True,
    ),
    _verb(
        "/audit/verify",
        reports.check_audit,
        AuditCheck,
        "Tell whether each row of the audit trail follows from the one before it",
    ),
    _admin(
        "POST",
        "/upstreams",
        upstreams.add_upstream,
        UpstreamShape,
        "Add an upstream",
        request=NewUpstream,
        status=201,
    ),
    _admin(
        "GET",
        "/upstreams",
        upstreams.list_upstreams,
        UpstreamPage,
        "List upstreams, in the order in which a model's name is looked for",
        query=upstreams.UpstreamQuery,
    ),
    _admin(
        "GET", "/upstreams/{upstream}", upstreams.show_upstream, UpstreamShape, "Show an upstream"
    ),
    _admin(
        "PATCH",
        "/upstreams/{upstream}",
        upstreams.change_upstream,
        UpstreamShape,
        "Change an upstream, its credential too",
        request=UpstreamChange,
    ),
    _admin(
        "DELETE",
        "/upstreams/{upstream}",
        upstreams.remove_upstream,
        UpstreamShape,
        "Remove an upstream and its credential",
    ),
    _verb(
        "/upstreams/{upstream}/test",
        upstreams.test_upstream,
        UpstreamTest,
        "Ask an upstream for its models, which costs nothing",
    ),
    _admin("GET", "/prices", server.list_prices, PricePage, "Show the price list in force"),
    _verb(
        "/corrections",
        server.correct_calls,
        CorrectionReport,
        "Correct calls that were charged their bound, in bulk; a dry run first",
        request=BulkCorrection,
    ),
    _verb(
        "/clock/accept",
        server.accept_clock,
        ClockAccepted,
        "Go on after the clock has jumped: it is right as it is",
    ),
    Route(
        method="GET",
        path=f"{BASE}/me",
        handler=me.show_me,
        role="key",
        response=Me,
        summary="Show a key its limits and use",
    ),
)
