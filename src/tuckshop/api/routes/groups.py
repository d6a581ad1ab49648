"""Groups."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import groups
from tuckshop.api.handlers.resetting import ResetQuery
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.groups import GroupChange, GroupPage, GroupReset, GroupShape, NewGroup

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "operator",
        "server",
        "POST",
        "/groups",
        groups.create_group,
        GroupShape,
        "Make a group",
        request=NewGroup,
        status=201,
        makes=True,
    ),
    row(
        "viewer",
        "rows",
        "GET",
        "/groups",
        groups.list_groups,
        GroupPage,
        "List groups",
        query=groups.GroupQuery,
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/groups/{group}",
        groups.show_group,
        GroupShape,
        "Show a group",
    ),
    row(
        "owner",
        "group",
        "PATCH",
        "/groups/{group}",
        groups.change_group,
        GroupShape,
        "Change any part of a group's policy",
        request=GroupChange,
    ),
    row(
        "operator",
        "group",
        "DELETE",
        "/groups/{group}",
        groups.archive_group,
        GroupShape,
        "Archive a group",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/groups/{group}/pause",
        groups.pause_group,
        GroupShape,
        "Pause a group",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/groups/{group}/resume",
        groups.resume_group,
        GroupShape,
        "Resume a group",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/groups/{group}/reset",
        groups.reset_group,
        GroupShape,
        "Start a group's running windows afresh",
        request=GroupReset,
        body_optional=True,
        query=ResetQuery,
    ),
)
