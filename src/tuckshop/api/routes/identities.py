"""Who is behind a pseudonym, for a reason that is kept."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import identities
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.shapes.groups import GroupShape
from tuckshop.services.shapes.identities import (
    Identity,
    IdentityPage,
    IdentitySearch,
    WithReason,
)
from tuckshop.services.shapes.workspace import WorkspaceShape

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "owner",
        "group",
        "POST",
        "/members/{member}/identity",
        identities.open_identity,
        Identity,
        "Tell who a member is, for a reason that the audit trail keeps",
        request=WithReason,
    ),
    row(
        "owner",
        "rows",
        "POST",
        "/identities",
        identities.find_identity,
        IdentityPage,
        "Find the members who are the person with an external id, for a reason that the audit trail keeps",
        request=IdentitySearch,
    ),
    row(
        "owner",
        "group",
        "POST",
        "/groups/{group}/unmask",
        identities.unmask_group,
        GroupShape,
        "Show staff again who the members of a group are, for a reason that the audit trail keeps",
        request=WithReason,
    ),
    row(
        "operator",
        "server",
        "POST",
        "/workspace/unmask",
        identities.unmask_workspace,
        WorkspaceShape,
        "End the pseudonyms of all groups together, for a reason that the audit trail keeps",
        request=WithReason,
    ),
)
