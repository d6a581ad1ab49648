"""Who is mailed of notices."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import notify
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.notify import NotifyOrder, NotifyShape

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "owner",
        "group",
        "GET",
        "/groups/{group}/notify",
        notify.show_of_group,
        NotifyShape,
        "Show who is mailed of what happens in a group",
    ),
    row(
        "owner",
        "group",
        "PUT",
        "/groups/{group}/notify",
        notify.set_of_group,
        NotifyShape,
        "Say who is mailed of what happens in a group",
        request=NotifyOrder,
    ),
    row(
        "operator",
        "server",
        "GET",
        "/workspace/notify",
        notify.show_of_all,
        NotifyShape,
        "Show who is mailed of what happens in all groups",
    ),
    row(
        "operator",
        "server",
        "PUT",
        "/workspace/notify",
        notify.set_of_all,
        NotifyShape,
        "Say who is mailed of what happens in all groups",
        request=NotifyOrder,
    ),
)
