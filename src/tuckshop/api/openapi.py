"""The OpenAPI document, made of the route table and of the structs that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from tuckshop.api.conditions import PATTERN as MATCH_PATTERN
from tuckshop.api.idempotency import KEY_PATTERN
from tuckshop.api.problems import CONTENT_TYPE, Problem
from tuckshop.api.routing import CSV_TYPE, Role, Route
from tuckshop.domain.actor import STAFF_ROLES

_SECURITY: Final[Mapping[Role, list[dict[str, list[str]]]]] = {
    **{role: [{"adminToken": []}, {"staffToken": []}] for role in STAFF_ROLES},
    "operator": [{"adminToken": []}],
    "key": [{"virtualKey": []}],
    "public": [],
}
_SCHEMES: Final = {
    "adminToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The operator's token, kept in the data folder as admin-token.",
    },
    "staffToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of staff: tuck-staff-…, of the role that x-tuckshop-role names or above.",
    },
    "virtualKey": {"type": "http", "scheme": "bearer", "description": "A key: sk-tuck-…"},
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 for *routes*."""
    kinds = [kind for route in routes for kind in _kinds(route)]
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    # Money is a number: what a library calls a decimal it describes as text.
    schemas, components = _money_as_numbers(schemas), _money_as_numbers(components)
    schema_of = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, schema_of, components
        )
    queries = {route.query.__name__ for route in routes if route.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tuckshop",
            "version": version("tuckshop"),
            "description": "The admin API of tuckshop. Money is in USD, times are RFC 3339 in UTC.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "securitySchemes": _SCHEMES,
        },
    }


def _money_as_numbers(schema: Any) -> Any:
    if isinstance(schema, list | tuple):
        return [_money_as_numbers(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _money_as_numbers(one) for name, one in schema.items()}
    if found.get("format") == "decimal":
        del found["format"]
        found["type"] = "number"
    return found


def refusals_of(route: Route) -> list[int]:
    """The statuses by which a call may be refused; the edge has some of its own for what is not clean HTTP."""
    found = {422, 503}
    if route.role == "public" and not route.parameters and route.request is None:
        return sorted(found)
    if route.role != "public":
        found |= {401, 403}
    if route.role == "key" or route.scope == "self":
        found.add(429)
    if route.parameters or route.query is not None or route.request is not None:
        found.add(404)
    if route.method != "GET":
        found |= {400, 409, 413, 415}
    if route.is_conditional:
        found.add(412)
    return sorted(found)


def _kinds(route: Route) -> Iterable[Any]:
    return (
        kind for kind in (route.request, route.response, route.query, Problem) if kind is not None
    )


def _operation(
    route: Route, schema_of: Mapping[int, dict[str, Any]], components: Mapping[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "security": _SECURITY[route.role],
        "x-tuckshop-role": route.role,
        "x-tuckshop-scope": route.scope,
        "responses": {
            str(route.status): {
                "description": "Done",
                "content": {
                    route.answers: {"schema": schema_of[id(route.response)]},
                    **{kind: {"schema": {"type": "string"}} for kind in route.table_types},
                },
            },
            **{
                status: {
                    "description": "Refused",
                    "content": {CONTENT_TYPE: {"schema": schema_of[id(Problem)]}},
                }
                for status in (*map(str, refusals_of(route)), "default")
            },
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.parameters
    ]
    if route.query is not None:
        query = components[route.query.__name__]
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in query["properties"].items()
        ]
    parameters += [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": {"type": "string", "pattern": pattern},
        }
        for name, description, pattern, is_read in (
            (
                "Idempotency-Key",
                "Sent again under it, the call makes nothing anew",
                f"^{KEY_PATTERN}$",
                route.makes,
            ),
            (
                "If-Match",
                "Only if the ETag of what is changed is still this",
                f"^{MATCH_PATTERN}$",
                route.is_conditional,
            ),
        )
        if is_read
    ]
    if route.is_versioned:
        operation["responses"][str(route.status)]["headers"] = {
            "ETag": {"description": "The version shown", "schema": {"type": "string"}}
        }
    if parameters:
        operation["parameters"] = parameters
    if route.request is not None:
        operation["requestBody"] = {
            "required": not route.body_optional,
            "content": {
                media_type: {
                    "schema": {"type": "string"}
                    if media_type == CSV_TYPE
                    else schema_of[id(route.request)]
                }
                for media_type in route.media_types
            },
        }
    return operation
