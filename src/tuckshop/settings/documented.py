"""Every setting with its meaning, for the reference page and `tuckshop config`."""

from __future__ import annotations

import dataclasses
from dataclasses import fields

from tuckshop.settings.fields import EdgeSettings, Settings, environment_name


def documented() -> list[tuple[str, str, str, str]]:
    """
    Every setting as (environment variable, place in the file, default, what it means), for the reference page.

    The meaning is the string below the field in this file's source.
    """
    meanings = _meanings()
    rows = []
    for owner, prefix in ((Settings, ""), (EdgeSettings, "edge.")):
        for f in fields(owner):
            if f.name == "edge":
                continue
            place = f"[edge] {f.name}" if prefix else f.name
            default = "" if f.default in (None, (), dataclasses.MISSING) else str(f.default)
            rows.append(
                (environment_name(prefix + f.name), place, default, meanings[prefix + f.name])
            )
    return rows


def _meanings() -> dict[str, str]:
    import ast  # only for the reference page and `tuckshop config`
    import inspect

    found = {}
    for owner, prefix in ((Settings, ""), (EdgeSettings, "edge.")):
        body = ast.parse(inspect.getsource(owner)).body[0]
        assert isinstance(body, ast.ClassDef)
        name = None
        for node in body.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
                found[prefix + name] = " ".join(str(node.value.value).split())
                name = None
    return found
