"""The route table of the admin API: every call there is, with who may make it and what goes in and out."""

from __future__ import annotations

from typing import Final

from tuckshop.api.routes import (
    claims,
    erasing,
    exporting,
    flags,
    grants,
    groups,
    identities,
    kept_bodies,
    keys,
    mails,
    me,
    members,
    notify,
    papers,
    reports,
    server,
    tokens,
    upstreams,
    webhooks,
)
from tuckshop.api.routing import Route

ROUTES: Final[tuple[Route, ...]] = (
    *groups.ROUTES,
    *members.ROUTES,
    *grants.ROUTES,
    *keys.ROUTES,
    *claims.ROUTES,
    *identities.ROUTES,
    *mails.ROUTES,
    *reports.ROUTES,
    *flags.ROUTES,
    *kept_bodies.ROUTES,
    *exporting.ROUTES,
    *erasing.ROUTES,
    *tokens.ROUTES,
    *notify.ROUTES,
    *webhooks.ROUTES,
    *upstreams.ROUTES,
    *server.ROUTES,
    *papers.ROUTES,
    *me.ROUTES,
)
