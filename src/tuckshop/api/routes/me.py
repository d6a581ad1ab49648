"""What a key asks about itself."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import me
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.me import Me, OwnNewKey

ROUTES: Final[tuple[Route, ...]] = (
    row("key", "self", "GET", "/me", me.show_me, Me, "Show a key its limits and use"),
    row(
        "key",
        "self",
        "POST",
        "/me/rotate",
        me.rotate_me,
        OwnNewKey,
        "Give the key that asks a new secret, shown once, where its group lets it",
    ),
)
