"""What is kept of calls: prompts and answers, where a group says so."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import kept_bodies
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.body_search import BodyHitPage, BodyQuery
from tuckshop.services.shapes.holds import HoldPage, HoldRelease, HoldShape, NewHold
from tuckshop.services.shapes.kept_bodies import BodyRequest, KeptBodyShape

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "viewer",
        "group",
        "POST",
        "/requests/{request}/body",
        kept_bodies.read_body,
        KeptBodyShape,
        "Read what was asked and answered, for a reason that is audited",
        request=BodyRequest,
    ),
    row(
        "viewer",
        "rows",
        "POST",
        "/bodies/search",
        kept_bodies.search_bodies,
        BodyHitPage,
        "Find a text in what was asked and answered, for a reason that is audited",
        request=BodyQuery,
    ),
    row(
        "owner",
        "rows",
        "POST",
        "/holds",
        kept_bodies.set_hold,
        HoldShape,
        "Keep what is kept of a group or a member from being deleted or read",
        request=NewHold,
        status=201,
        makes=True,
    ),
    row(
        "owner",
        "rows",
        "GET",
        "/holds",
        kept_bodies.list_holds,
        HoldPage,
        "List legal holds, oldest first",
        query=kept_bodies.HoldQuery,
    ),
    row(
        "owner",
        "group",
        "POST",
        "/holds/{hold}/release",
        kept_bodies.release_hold,
        HoldShape,
        "Release a legal hold",
        request=HoldRelease,
    ),
)
