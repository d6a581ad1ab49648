"""Tokens of staff."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import tokens
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.tokens import NewToken, TokenPage, TokenShape

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "owner",
        "rows",
        "POST",
        "/tokens",
        tokens.create_token,
        TokenShape,
        "Make a token for staff, shown once",
        request=NewToken,
        status=201,
        makes=True,
    ),
    row(
        "owner",
        "rows",
        "GET",
        "/tokens",
        tokens.list_tokens,
        TokenPage,
        "List tokens of staff",
        query=tokens.TokenQuery,
    ),
    row(
        "owner",
        "group",
        "GET",
        "/tokens/{token}",
        tokens.show_token,
        TokenShape,
        "Show a token of staff",
    ),
    row(
        "owner",
        "group",
        "DELETE",
        "/tokens/{token}",
        tokens.revoke_token,
        TokenShape,
        "Revoke a token of staff for good",
    ),
)
