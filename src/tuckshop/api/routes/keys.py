"""Keys."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import keys
from tuckshop.api.handlers.resetting import ResetQuery
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.bulk import BulkReport, KeyBulk
from tuckshop.services.shapes.finding import FindKeys, FoundKeys
from tuckshop.services.shapes.keys import KeyChange, KeyPage, KeyShape, NewKey, Rotation

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "assistant",
        "group",
        "POST",
        "/members/{member}/keys",
        keys.issue_key,
        KeyShape,
        "Issue a key, shown once",
        request=NewKey,
        body_optional=True,
        status=201,
        makes=True,
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/members/{member}/keys",
        keys.list_member_keys,
        KeyPage,
        "List a member's keys",
        query=keys.MemberKeyQuery,
    ),
    row(
        "viewer",
        "rows",
        "GET",
        "/keys",
        keys.list_keys,
        KeyPage,
        "List keys",
        query=keys.KeyQuery,
    ),
    row("viewer", "group", "GET", "/keys/{key}", keys.show_key, KeyShape, "Show a key"),
    row(
        "assistant",
        "group",
        "PATCH",
        "/keys/{key}",
        keys.change_key,
        KeyShape,
        "Change a key",
        request=KeyChange,
    ),
    row(
        "assistant",
        "group",
        "DELETE",
        "/keys/{key}",
        keys.delete_key,
        KeyShape,
        "Revoke and archive a key",
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/keys/{key}/pause",
        keys.pause_key,
        KeyShape,
        "Pause a key",
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/keys/{key}/resume",
        keys.resume_key,
        KeyShape,
        "Resume a key",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/keys/{key}/reset",
        keys.reset_key,
        KeyShape,
        "Start the running windows of a key's own limits afresh",
        query=ResetQuery,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/keys/{key}/revoke",
        keys.revoke_key,
        KeyShape,
        "Revoke a key for good",
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/keys/{key}/rotate",
        keys.rotate_key,
        KeyShape,
        "Give a key a new secret, shown once",
        request=Rotation,
        body_optional=True,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/keys/{key}/archive",
        keys.archive_key,
        KeyShape,
        "Archive a key",
    ),
    row(
        "assistant",
        "rows",
        "POST",
        "/keys/bulk",
        keys.do_to_keys,
        BulkReport,
        "Pause, resume, revoke, archive, reset or rotate all keys that a filter finds; a dry run first",
        request=KeyBulk,
    ),
    row(
        "viewer",
        "rows",
        "POST",
        "/keys/find",
        keys.find_keys,
        FoundKeys,
        "Tell whose the keys are that stand in a text",
        request=FindKeys,
    ),
)
