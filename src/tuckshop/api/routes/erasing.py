"""Forgetting people."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import erasing
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.erasing import ErasureReport, GroupErasure, MemberErasure

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "owner",
        "group",
        "POST",
        "/erase/members/{member}",
        erasing.erase_member,
        ErasureReport,
        "Erase a person in all groups that the caller sees: names, keys, mails and what was kept go; sums stay",
        request=MemberErasure,
    ),
    row(
        "owner",
        "group",
        "POST",
        "/erase/groups/{group}",
        erasing.erase_group,
        ErasureReport,
        "Erase everybody of an archived group, some at a time: repeat it until none is left",
        request=GroupErasure,
    ),
)
