"""What is kept of calls: prompts and answers, where a group says so."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import kept_bodies
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
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
)
