"""Values of a body, read strictly; a wrong one is named by its path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuckshop.domain.errors import InvalidRequestBodyError


def wrong(path: str, expected: str) -> InvalidRequestBodyError:
    """The refusal of what stands at *path* and is not what was *expected*."""
    return InvalidRequestBodyError(f"{path} has to be {expected}", path)


def flag(tree: Mapping[str, Any], name: str) -> bool:
    """The boolean called *name*; absent or null is false."""
    value = tree.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong(name, "true or false")
    return value


def count(tree: Mapping[str, Any], name: str, *, most: int, least: int = 1) -> int | None:
    """The integer called *name*; None: absent or null."""
    value = tree.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:  # a bool is an int to Python
        raise wrong(name, f"an integer from {least} to {most}")
    return value


def object_at(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object called *name*; absent or null is an empty one."""
    value = tree.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(name, "an object")
    return value


def objects_at(tree: Any, name: str, path: str = "") -> list[Mapping[str, Any]]:
    """The list of objects called *name* in *tree*, which stands at *path*; absent or null is an empty one."""
    value = tree.get(name) if isinstance(tree, dict) else None
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise wrong(f"{path}{name}", "a list of objects")
    return value


def is_token(value: Any) -> bool:
    """Is *value* the number of a token?"""
    return type(value) is int and value >= 0
