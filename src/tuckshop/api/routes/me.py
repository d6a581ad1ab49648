"""What a key asks about itself."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import me
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.me import Me

ROUTES: Final[tuple[Route, ...]] = (
    row("key", "self", "GET", "/me", me.show_me, Me, "Show a key its limits and use"),
)
