"""Grants."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import grants
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.grants import (
    GrantPage,
    GrantShape,
    GrantsMade,
    NewGrant,
    NewGrants,
)

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "owner",
        "group",
        "POST",
        "/members/{member}/grants",
        grants.grant_to_member,
        GrantShape,
        "Add money to a member's money limits, once",
        request=NewGrant,
        status=201,
        makes=True,
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/members/{member}/grants",
        grants.list_grants,
        GrantPage,
        "List a member's grants, with what is left of them",
        query=grants.GrantQuery,
    ),
    row(
        "owner",
        "group",
        "POST",
        "/groups/{group}/grants",
        grants.grant_to_group,
        GrantsMade,
        "Add money to the money limits of a group's members, once",
        request=NewGrants,
        status=201,
        makes=True,
    ),
)
