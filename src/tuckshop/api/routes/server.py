"""What concerns the whole server."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import server, takeovers
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.clock import ClockAccepted
from tuckshop.services.shapes.corrections import BulkCorrection, CorrectionReport
from tuckshop.services.shapes.prices import PriceOverride, PricePage, PriceRefresh, PriceRefreshed
from tuckshop.services.shapes.takeover import Takeover, TakeoverReport
from tuckshop.services.shapes.workspace import WorkspaceChange, WorkspaceShape

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "operator",
        "server",
        "GET",
        "/workspace",
        server.show_workspace,
        WorkspaceShape,
        "Show what holds over all groups together",
    ),
    row(
        "operator",
        "server",
        "PATCH",
        "/workspace",
        server.change_workspace,
        WorkspaceShape,
        "Change any part of what holds over all groups together",
        request=WorkspaceChange,
    ),
    row(
        "operator",
        "server",
        "GET",
        "/prices",
        server.list_prices,
        PricePage,
        "Show the price list in force",
    ),
    row(
        "operator",
        "server",
        "PUT",
        "/prices",
        server.put_price,
        PricePage,
        "Say what a model costs from some time on, or take that back",
        request=PriceOverride,
    ),
    row(
        "operator",
        "server",
        "POST",
        "/prices/refresh",
        server.refresh_prices,
        PriceRefreshed,
        "Put another price list's prices; a dry run first",
        request=PriceRefresh,
    ),
    row(
        "operator",
        "server",
        "POST",
        "/corrections",
        server.correct_calls,
        CorrectionReport,
        "Correct calls that were charged their bound, in bulk; a dry run first",
        request=BulkCorrection,
    ),
    row(
        "operator",
        "server",
        "POST",
        "/clock/accept",
        server.accept_clock,
        ClockAccepted,
        "Go on after the clock has jumped: it is right as it is",
    ),
    row(
        "operator",
        "server",
        "POST",
        "/takeovers",
        takeovers.take_over,
        TakeoverReport,
        "Take over groups, members and keys of another gateway; a dry run first",
        request=Takeover,
        query=takeovers.TakeoverQuery,
    ),
)
