"""
`/claim/`, where a member picks up a key: one static page, the same for everybody.

Loading it tells the server nothing and uses nothing up, so link previews and mail gateways burn no link: the secret
stands behind the `#`, and the key comes by a POST of the page's own button. Style and script stand in the page and
are allowed by their hashes alone; nothing else can be loaded, run or framed (K13).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tuckshop.web.sources import csp_hash

PATH: Final = "/claim/"


def claim_routes() -> list[BaseRoute]:
    """The page, and the way to it for who lost the last slash: a browser carries the `#` along."""
    body, headers = _page()

    async def page(request: Request) -> Response:
        return Response(body, headers=dict(headers))

    async def to_page(request: Request) -> Response:
        return Response(
            status_code=308, headers={"location": "claim/", "cache-control": "no-store"}
        )

    return [Route(PATH, page), Route(PATH.rstrip("/"), to_page)]


def _page() -> tuple[bytes, Mapping[str, str]]:
    """The page's bytes and the header fields it is sent with."""
    files = resources.files("tuckshop.web")
    html, style, script = (
        files.joinpath(f"claim.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
    )
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
    body = html.replace("{style}", style).replace("{script}", script)
    return body.encode(), headers
