"""The route table of the admin API: every call there is, with who may make it and what goes in and out."""

from __future__ import annotations

from typing import Any, Final

from tuckshop.api import handlers
from tuckshop.api.routing import BASE, CSV_TYPE, JSON_TYPE, Handler, Method, Route
from tuckshop.services.audit_trail import AuditFilter
from tuckshop.services.request_log import RequestFilter
from tuckshop.services.shapes import (
    AuditCheck,
    AuditPage,
    BulkCorrection,
    ClockAccepted,
    CorrectionReport,
    GroupChange,
    GroupPage,
    GroupReset,
    GroupShape,
    KeyChange,
    KeyPage,
    KeyShape,
    Me,
    MemberChange,
    MemberPage,
    MemberShape,
    NewGroup,
    NewKey,
    NewMember,
    NewUpstream,
    PricePage,
    RequestPage,
    RequestShape,
    Roster,
    RosterPreview,
    Rotation,
    UpstreamChange,
    UpstreamPage,
    UpstreamShape,
    UpstreamTest,
    UsagePage,
)
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


_RESET: Final = {"query": handlers.ResetQuery}

ROUTES: Final[tuple[Route, ...]] = (
    _admin(
        "POST",
        "/groups",
        handlers.create_group,
        GroupShape,
        "Make a group",
        request=NewGroup,
        status=201,
    ),
    _admin(
        "GET", "/groups", handlers.list_groups, GroupPage, "List groups", query=handlers.GroupQuery
    ),
    _admin("GET", "/groups/{group}", handlers.show_group, GroupShape, "Show a group"),
    _admin(
        "PATCH",
        "/groups/{group}",
        handlers.change_group,
        GroupShape,
        "Change any part of a group's policy",
        request=GroupChange,
    ),
    _admin("DELETE", "/groups/{group}", handlers.archive_group, GroupShape, "Archive a group"),
    _verb("/groups/{group}/pause", handlers.pause_group, GroupShape, "Pause a group"),
    _verb("/groups/{group}/resume", handlers.resume_group, GroupShape, "Resume a group"),
    _verb(
        "/groups/{group}/reset",
        handlers.reset_group,
        GroupShape,
        "Start a group's running windows afresh",
        request=GroupReset,
        body_optional=True,
        **_RESET,
    ),
    _admin(
        "POST",
        "/groups/{group}/members",
        handlers.add_members,
        Roster,
        "Add or update members: one, a list, or the CSV file of a learning platform",
        request=NewMember | list[NewMember],
        raw_body=True,
        media_types=(JSON_TYPE, CSV_TYPE),
        query=handlers.RosterQuery,
        status=201,
    ),
    _verb(
        "/groups/{group}/members/preview",
        handlers.preview_roster,
        RosterPreview,
        "Tell what importing a CSV file would do, line by line",
        request=str,
        raw_body=True,
        media_types=(CSV_TYPE,),
        query=handlers.PreviewQuery,
    ),
    _admin(
        "GET",
        "/groups/{group}/members",
        handlers.list_group_members,
        MemberPage,
        "List a group's members",
        query=handlers.GroupMemberQuery,
    ),
    _admin(
        "GET",
        "/members",
        handlers.list_members,
        MemberPage,
        "Find members",
        query=handlers.MemberQuery,
    ),
    _admin("GET", "/members/{member}", handlers.show_member, MemberShape, "Show a member"),
    _admin(
        "PATCH",
        "/members/{member}",
        handlers.change_member,
        MemberShape,
        "Change a member",
        request=MemberChange,
    ),
    _admin("DELETE", "/members/{member}", handlers.archive_member, MemberShape, "Archive a member"),
    _verb("/members/{member}/pause", handlers.pause_member, MemberShape, "Pause a member"),
    _verb("/members/{member}/resume", handlers.resume_member, MemberShape, "Resume a member"),
    _verb(
        "/members/{member}/reset",
        handlers.reset_member,
        MemberShape,
        "Start a member's running windows afresh",
        **_RESET,
    ),
    _admin(
        "POST",
        "/members/{member}/keys",
        handlers.issue_key,
        KeyShape,
        "Issue a key, shown once",
        request=NewKey,
        body_optional=True,
        status=201,
    ),
    _admin(
        "GET",
        "/members/{member}/keys",
        handlers.list_member_keys,
        KeyPage,
        "List a member's keys",
        query=handlers.MemberKeyQuery,
    ),
    _admin("GET", "/keys", handlers.list_keys, KeyPage, "List keys", query=handlers.KeyQuery),
    _admin("GET", "/keys/{key}", handlers.show_key, KeyShape, "Show a key"),
    _admin(
        "PATCH", "/keys/{key}", handlers.change_key, KeyShape, "Change a key", request=KeyChange
    ),
    _admin("DELETE", "/keys/{key}", handlers.delete_key, KeyShape, "Revoke and archive a key"),
    _verb("/keys/{key}/pause", handlers.pause_key, KeyShape, "Pause a key"),
    _verb("/keys/{key}/resume", handlers.resume_key, KeyShape, "Resume a key"),
    _verb(
        "/keys/{key}/reset",
        handlers.reset_key,
        KeyShape,
        "Start the running windows of a key's own limits afresh",
        **_RESET,
    ),
    _verb("/keys/{key}/revoke", handlers.revoke_key, KeyShape, "Revoke a key for good"),
    _verb(
        "/keys/{key}/rotate",
        handlers.rotate_key,
        KeyShape,
        "Give a key a new secret, shown once",
        request=Rotation,
        body_optional=True,
    ),
    _verb("/keys/{key}/archive", handlers.archive_key, KeyShape, "Archive a key"),
    _admin(
        "GET",
        "/requests",
        handlers.list_requests,
        RequestPage,
        "Read the request log, newest first",
        query=RequestFilter,
        is_table=True,
    ),
    _admin(
        "GET", "/requests/{request}", handlers.show_request, RequestShape, "Show a row of the log"
    ),
    _admin(
        "GET",
        "/usage",
        handlers.show_usage,
        UsagePage,
        "Sum up usage",
        query=UsageQuery,
        is_table=True,
    ),
    _admin(
        "GET",
        "/audit",
        handlers.list_audit,
        AuditPage,
        "Read what staff did, newest first",
        query=AuditFilter,
        is_table=True,
    ),
    _verb(
        "/audit/verify",
        handlers.check_audit,
        AuditCheck,
        "Tell whether each row of the audit trail follows from the one before it",
    ),
    _admin(
        "POST",
        "/upstreams",
        handlers.add_upstream,
        UpstreamShape,
        "Add an upstream",
        request=NewUpstream,
        status=201,
    ),
    _admin(
        "GET",
        "/upstreams",
        handlers.list_upstreams,
        UpstreamPage,
        "List upstreams, in the order in which a model's name is looked for",
        query=handlers.UpstreamQuery,
    ),
    _admin(
        "GET", "/upstreams/{upstream}", handlers.show_upstream, UpstreamShape, "Show an upstream"
    ),
    _admin(
        "PATCH",
        "/upstreams/{upstream}",
        handlers.change_upstream,
        UpstreamShape,
        "Change an upstream, its credential too",
        request=UpstreamChange,
    ),
    _admin(
        "DELETE",
        "/upstreams/{upstream}",
        handlers.remove_upstream,
        UpstreamShape,
        "Remove an upstream and its credential",
    ),
    _verb(
        "/upstreams/{upstream}/test",
        handlers.test_upstream,
        UpstreamTest,
        "Ask an upstream for its models, which costs nothing",
    ),
    _admin("GET", "/prices", handlers.list_prices, PricePage, "Show the price list in force"),
    _verb(
        "/corrections",
        handlers.correct_calls,
        CorrectionReport,
        "Correct calls that were charged their bound, in bulk; a dry run first",
        request=BulkCorrection,
    ),
    _verb(
        "/clock/accept",
        handlers.accept_clock,
        ClockAccepted,
        "Go on after the clock has jumped: it is right as it is",
    ),
    Route(
        method="GET",
        path=f"{BASE}/me",
        handler=handlers.show_me,
        role="key",
        response=Me,
        summary="Show a key its limits and use",
    ),
)
