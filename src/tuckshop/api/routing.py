"""
The route table's parts: a route declares method, path, role, scope and bodies; a call carries what was read by it.

Routes are data, so that the same table serves calls, describes itself at /api/openapi.json, and is walked by the test
of roles. A route that does not say who may call it, and what of, cannot be built (K4).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar, get_args

from tuckshop.domain.actor import Actor, StaffRole
from tuckshop.domain.records import Holder
from tuckshop.services.assembly import Services
from tuckshop.services.once import Once
from tuckshop.services.shapes.parts import Versioned
from tuckshop.services.versions import Expected

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
# The least that may make a call: staff of this role or above, a virtual key, or anybody.
Role = Literal[StaffRole, "key", "public"]
# What a call is about, and so what staff who are bound to groups get of it.
# group: the object that its path names, if it is of one of their groups; else there is no such object.
# rows: the rows of their groups. self: the caller. server: all groups together, which is the operator's.
Scope = Literal["group", "rows", "self", "server"]
T = TypeVar("T")

BASE: Final = "/api/v1"
JSON_TYPE: Final = "application/json"
CSV_TYPE: Final = "text/csv"
NDJSON_TYPE: Final = "application/x-ndjson"
TABLE_TYPES: Final = (CSV_TYPE, NDJSON_TYPE)
HTML_TYPE: Final = "text/html"
_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
# What a path may name of one.
_OF_A_GROUP: Final = frozenset(
    {"group", "member", "key", "request", "mail", "token", "flag", "webhook", "hold"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, read and checked by its route."""

    services: Services
    actor: Actor
    path: dict[str, str] = field(default_factory=dict)
    query: object = None  # of the route's `query` struct
    body: object = None  # of the route's `request` type, or bytes where the route reads it itself
    media_type: str = JSON_TYPE  # of the body
    table_type: str | None = None  # of the route's `table_types`, where the client asks for a file
    holder: Holder | None = None  # whose key it came with, on routes for keys …
    presented: bytes | None = None  # … and the digest of the secret that it carried
    claim: Once | None = None  # the name by which its client may repeat it
    expected: Expected | None = None  # the versions that a change may be based on

    def body_as(self, kind: type[T]) -> T:
        """The body, which the route declares to be a *kind*."""
        assert isinstance(self.body, kind)
        return self.body

    def query_as(self, kind: type[T]) -> T:
        """The query, which the route declares to be a *kind*."""
        assert isinstance(self.query, kind)
        return self.query


Handler = Callable[[Call], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the table."""

    method: Method
    path: str
    handler: Handler
    role: Role
    scope: Scope
    summary: str
    response: Any  # the struct it answers with
    request: Any = None  # the struct of its body
    body_optional: bool = False  # no body at all means the struct's defaults
    raw_body: bool = False  # the handler reads the bytes itself; `request` only describes them
    media_types: tuple[str, ...] = (JSON_TYPE,)  # that the body may have
    query: Any = None  # the struct of its query
    is_table: bool = False  # its rows are also to be had as CSV and NDJSON
    has_page: bool = False  # the answer is also to be had as a page to print
    answers: str = JSON_TYPE  # the type of its answer
    status: int = 200
    makes: bool = False  # a repeat with the same `Idempotency-Key` makes nothing anew

    def __post_init__(self) -> None:
        """Refuse a route that does not say who may call it."""
        if self.role not in get_args(Role):
            raise ValueError(f"{self.method} {self.path} declares no role")
        if self.scope not in get_args(Scope):
            raise ValueError(f"{self.method} {self.path} declares no scope")
        if (self.scope == "group") != bool(_OF_A_GROUP.intersection(self.parameters)):
            raise ValueError(f"{self.method} {self.path} is of a group if its path names one")
        if self.scope == "server" and self.role in ("viewer", "assistant", "owner"):
            raise ValueError(f"{self.method} {self.path} shows all groups to staff of one")
        if not self.path.startswith("/") or self.method not in get_args(Method):
            raise ValueError(f"{self.method} {self.path} is not a route")

    @property
    def table_types(self) -> tuple[str, ...]:
        """What it is to be had as, besides JSON."""
        page = (HTML_TYPE,) if self.has_page else ()
        return (*TABLE_TYPES, *page) if self.is_table else page

    @property
    def is_versioned(self) -> bool:
        """Its answers carry an `ETag`."""
        return isinstance(self.response, type) and issubclass(self.response, Versioned)

    @property
    def is_conditional(self) -> bool:
        """It changes something with a version, and may be bound to one by `If-Match`."""
        return self.is_versioned and self.method in ("PATCH", "DELETE")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(_PARAMETER.findall(self.path))
