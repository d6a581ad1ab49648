"""Telling a person everything about themselves."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import exporting
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import NDJSON_TYPE, Route
from tuckshop.services.shapes.exporting import BodiesAsked, MemberExport
from tuckshop.services.shapes.kept_bodies import KeptBodyShape

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "owner",
        "group",
        "GET",
        "/export/members/{member}",
        exporting.export_member,
        MemberExport,
        "Tell everything about a person, in all groups that the caller sees, but what they wrote",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/export/members/{member}/bodies",
        exporting.export_bodies,
        KeptBodyShape,
        "Open all that is kept of what a member asked and was answered, a line each, for a reason that is audited",
        request=BodiesAsked,
        answers=NDJSON_TYPE,
    ),
)
