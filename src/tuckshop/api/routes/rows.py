"""How a row of the route table is written: who may call it first, then where, then what it does."""

from __future__ import annotations

from typing import Any

from tuckshop.api.routing import BASE, Handler, Method, Role, Route, Scope


def row(
    role: Role,
    scope: Scope,
    method: Method,
    path: str,
    handler: Handler,
    response: Any,
    summary: str,
    **rest: Any,
) -> Route:
    """A call below the base path."""
    return Route(
        role=role,
        scope=scope,
        method=method,
        path=BASE + path,
        handler=handler,
        response=response,
        summary=summary,
        **rest,
    )
