"""Upstreams."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import upstreams
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.upstreams import (
    NewUpstream,
    UpstreamChange,
    UpstreamPage,
    UpstreamShape,
    UpstreamTest,
)

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "operator",
        "server",
        "POST",
        "/upstreams",
        upstreams.add_upstream,
        UpstreamShape,
        "Add an upstream",
        request=NewUpstream,
        status=201,
        makes=True,
    ),
    row(
        "operator",
        "server",
        "GET",
        "/upstreams",
        upstreams.list_upstreams,
        UpstreamPage,
        "List upstreams, in the order in which a model's name is looked for",
        query=upstreams.UpstreamQuery,
    ),
    row(
        "operator",
        "server",
        "GET",
        "/upstreams/{upstream}",
        upstreams.show_upstream,
        UpstreamShape,
        "Show an upstream",
    ),
    row(
        "operator",
        "server",
        "PATCH",
        "/upstreams/{upstream}",
        upstreams.change_upstream,
        UpstreamShape,
        "Change an upstream, its credential too",
        request=UpstreamChange,
    ),
    row(
        "operator",
        "server",
        "DELETE",
        "/upstreams/{upstream}",
        upstreams.remove_upstream,
        UpstreamShape,
        "Remove an upstream and its credential",
    ),
    row(
        "operator",
        "server",
        "POST",
        "/upstreams/{upstream}/test",
        upstreams.test_upstream,
        UpstreamTest,
        "Ask an upstream for its models, which costs nothing",
    ),
)
