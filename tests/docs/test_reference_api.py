"""The reference page of the admin API names every call, parameter and field that there is, and no other call."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from tuckshop.api.app import all_routes
from tuckshop.services.groups import NOT_YET

PAGE = (Path(__file__).parents[2] / "docs/reference/admin-api.md").read_text(encoding="utf-8")
ROUTES = all_routes(lambda: None)
ROWS = {
    (method, path): line
    for line in PAGE.splitlines()
    for method, path in re.findall(r"^\| `([A-Z]+) (/[^` ]*)` \|", line)
}


def test_every_call_has_its_row_and_every_row_its_call() -> None:
    assert set(ROWS) == {(route.method, route.path) for route in ROUTES}


def test_every_call_tells_the_least_role_that_may_make_it() -> None:
    """K4."""
    for route in ROUTES:
        assert ROWS[route.method, route.path].split(" | ")[1] == route.role, route.path


def test_every_query_parameter_is_named() -> None:
    for route in ROUTES:
        if route.query is not None:
            row = ROWS[route.method, route.path]
            for name in route.query.__struct_fields__:
                assert re.search(rf"[`?]{name}[`=]", row), f"{route.path}: {name}"


def test_every_field_that_can_be_sent_is_named() -> None:
    for route in ROUTES:
        for kind in getattr(route.request, "__args__", (route.request,)):
            for name in getattr(kind, "__struct_fields__", ()):
                assert f"`{name}`" in PAGE or f'"{name}"' in PAGE, name


def test_what_is_not_available_yet_is_told_with_the_value_that_is_taken() -> None:
    for name, default in NOT_YET.items():
        assert f"`{name}` `{msgspec.json.encode(default).decode()}`" in re.sub(r"\s+", " ", PAGE)
