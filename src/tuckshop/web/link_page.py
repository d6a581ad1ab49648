"""
The pages behind links that one person holds: `/claim/`, where a key is picked up, and `/appeal/`, where somebody sees
what was flagged of theirs. Each is one static page, the same for everybody.

Loading one tells the server nothing and uses nothing up, so link previews and mail gateways burn no link: the secret
stands behind the `#`, and everything else comes by a POST of the page's own buttons. Style and script stand in the page
and are allowed by their hashes alone; nothing else can be loaded, run or framed (K13).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tuckshop.web.sources import csp_hash

NAMES: Final = ("claim", "appeal")


def link_routes() -> list[BaseRoute]:
    """The pages, and the way to each for who lost the last slash: a browser carries the `#` along."""
    return [route for name in NAMES for route in _routes(name)]


def _routes(name: str) -> list[BaseRoute]:
    body, headers = _page(name)
    moved = {"location": f"{name}/", "cache-control": "no-store"}

    async def page(request: Request) -> Response:
        return Response(body, headers=dict(headers))

    async def to_page(request: Request) -> Response:
        return Response(status_code=308, headers=moved)

    return [Route(f"/{name}/", page), Route(f"/{name}", to_page)]


def _page(name: str) -> tuple[bytes, Mapping[str, str]]:
    """The page's bytes and the header fields it is sent with."""
    folder = resources.files("tuckshop.web")

    def read(file: str) -> str:
        return folder.joinpath(file).read_text("utf-8")

    style, script = (read(f"links.{kind}") + read(f"{name}.{kind}") for kind in ("css", "js"))
    policy = (
        "default-src 'none'",
        f"script-src {csp_hash(script)}",
        f"style-src {csp_hash(style)}",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": "; ".join(policy),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "x-robots-tag": "noindex",
    }
    body = read(f"{name}.html").replace("{style}", style).replace("{script}", script)
    return body.encode(), headers
