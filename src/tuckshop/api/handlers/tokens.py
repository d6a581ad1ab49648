"""Tokens of staff."""

from __future__ import annotations

from tuckshop.api.routing import Call
from tuckshop.services.paging import PAGE_DEFAULT, PageSize
from tuckshop.services.shapes.parts import Sent
from tuckshop.services.shapes.tokens import NewToken
from tuckshop.services.tokens import ListedTokens


class TokenQuery(Sent, frozen=True, kw_only=True):
    """Which tokens are listed; revoked ones only by their state."""

    state: ListedTokens | None = None
    cursor: str | None = None
    limit: PageSize = PAGE_DEFAULT


async def create_token(call: Call) -> object:
    return await call.services.tokens.create(call.actor, call.body_as(NewToken), claim=call.claim)


async def list_tokens(call: Call) -> object:
    query = call.query_as(TokenQuery)
    return await call.services.tokens.page(
        call.actor, state=query.state, cursor=query.cursor, limit=query.limit
    )


async def show_token(call: Call) -> object:
    return await call.services.tokens.get(call.actor, call.path["token"])


async def revoke_token(call: Call) -> object:
    return await call.services.tokens.revoke(call.actor, call.path["token"])
