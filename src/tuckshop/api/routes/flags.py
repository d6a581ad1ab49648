"""Flags and pseudonyms: conduct data, which is for those who look after the people of a group (P6)."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import flags, who
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.flags import FlagFilter
from tuckshop.services.shapes.claims import ClaimLinkShape
from tuckshop.services.shapes.flags import (
    Appeal,
    AppealLink,
    AppealTaken,
    FlagDetail,
    FlagPage,
    LinkedAppeal,
    OwnFlags,
    Resolution,
)
from tuckshop.services.shapes.who import Asked, Whose

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "assistant",
        "rows",
        "GET",
        "/moderation/flags",
        flags.list_flags,
        FlagPage,
        "List contents that were flagged, newest first",
        query=FlagFilter,
        is_table=True,
    ),
    row(
        "assistant",
        "group",
        "GET",
        "/moderation/flags/{flag}",
        flags.show_flag,
        FlagDetail,
        "Show a flag and the calls it was found in",
    ),
    row(
        "owner",
        "group",
        "POST",
        "/moderation/flags/{flag}/resolve",
        flags.resolve_flag,
        FlagDetail,
        "Say whether a flag stands, and whether what its strike paused goes on",
        request=Resolution,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/moderation/flags/{flag}/appeal",
        flags.appeal_flag,
        FlagDetail,
        "Write down what a member says to a flag",
        request=Appeal,
    ),
    row(
        "assistant",
        "group",
        "POST",
        "/members/{member}/appeal-links",
        flags.make_appeal_link,
        ClaimLinkShape,
        "Make a link by which a member sees their flags and says something to them; it voids earlier ones",
        status=201,
    ),
    row(
        "public",
        "self",
        "POST",
        "/appeal/flags",
        flags.look_at_own,
        OwnFlags,
        "Show what an appeal link is about",
        request=AppealLink,
    ),
    row(
        "public",
        "self",
        "POST",
        "/appeal",
        flags.send_appeal,
        AppealTaken,
        "Say something to one's own flags, once",
        request=LinkedAppeal,
    ),
    row(
        "owner",
        "rows",
        "POST",
        "/who",
        who.find,
        Whose,
        "Tell whom an upstream knows by a pseudonym, for a reason",
        request=Asked,
    ),
)
