"""Keys and links for a whole group, and links as they are opened."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import claims
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.claims import (
    Claim,
    ClaimedKey,
    ClaimLinkShape,
    HandedOut,
    HandOut,
    LinksFor,
)

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "assistant",
        "group",
        "POST",
        "/groups/{group}/keys",
        claims.hand_out_keys,
        HandedOut,
        "Give each member without an active key one, shown once; the others a new secret if asked for",
        request=HandOut,
        body_optional=True,
        status=201,
        makes=True,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/groups/{group}/claim-links",
        claims.make_group_links,
        HandedOut,
        "Make a link for each member without an active key, by which they pick one up",
        request=LinksFor,
        body_optional=True,
        query=claims.LinkQuery,
        is_table=True,
        status=201,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/members/{member}/claim-links",
        claims.make_link,
        ClaimLinkShape,
        "Make a link by which a member picks up a key, shown once; it voids earlier ones",
        status=201,
    ),
    row(
        "public",
        "self",
        "POST",
        "/claim",
        claims.open_claim,
        ClaimedKey,
        "Open a claim link: the key, shown once",
        request=Claim,
    ),
)
