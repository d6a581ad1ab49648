"""Rows to records and back: lists as JSON text, limits in their long form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any, TypeVar

import msgspec
from sqlalchemy import RowMapping

from tuckshop.domain.body_logging import NO_LOGGING, Logging
from tuckshop.domain.flags import Strikes
from tuckshop.domain.limits import Limit, parse_limit
from tuckshop.domain.moderation import Moderation
from tuckshop.domain.privacy import NO_STATEMENT, PrivacyStatement
from tuckshop.domain.records import Group, Member, StaffToken, UpstreamRecord, VirtualKey, Workspace
from tuckshop.domain.reservation import CarryOver
from tuckshop.domain.rules.rules import Rules
from tuckshop.domain.windows import ZoneHistory

Row = RowMapping | Mapping[str, Any]
Part = TypeVar("Part", bound=msgspec.Struct)


def text_of_list(values: Sequence[str]) -> str:
    """*values* as a column holds them."""
    return msgspec.json.encode(list(values)).decode()


def list_of_text(column: str) -> tuple[str, ...]:
    """What `text_of_list` wrote."""
    return msgspec.json.decode(column, type=tuple[str, ...])


def text_of_limits(limits: Sequence[Limit]) -> str:
    """*limits* as a column holds them."""
    return text_of_list([str(limit) for limit in limits])


def limits_of_text(column: str) -> tuple[Limit, ...]:
    """
    What `text_of_limits` wrote.

    Raises:
        LimitSyntaxError: It is not a limit; a limit that cannot be read is never no limit.
    """
    return tuple(parse_limit(text) for text in list_of_text(column))


def text_of_part(part: msgspec.Struct) -> str:
    """A part of a policy that has fields of its own, as a column holds it."""
    return msgspec.json.encode(part).decode()


def part_of_text(column: str | None, kind: type[Part]) -> Part | None:
    """What `text_of_part` wrote; None where there is nothing."""
    return None if column is None else msgspec.json.decode(column, type=kind)


def text_of_zone(zone: ZoneHistory) -> str:
    """*zone* as a column holds it."""
    return msgspec.json.encode(zone.changes).decode()


def zone_of_text(column: str) -> ZoneHistory:
    """What `text_of_zone` wrote."""
    return ZoneHistory(msgspec.json.decode(column, type=tuple[tuple[int, str], ...]))


def workspace_of(row: Row) -> Workspace:
    """A row of `workspaces`."""
    return Workspace(
        id=row["id"],
        zone=zone_of_text(row["zone_changes"]),
        limits=limits_of_text(row["limits"]),
        privacy=part_of_text(row["privacy"], PrivacyStatement) or NO_STATEMENT,
        models=_optional_list(row["models"]),
        endpoints=_optional_list(row["endpoints"]),
        max_output_tokens=row["max_output_tokens"],
        moderation=part_of_text(row["moderation"], Moderation),
        pseudonyms=row["pseudonyms"],
    )


def upstream_of(row: Row) -> UpstreamRecord:
    """A row of `upstreams`."""
    return UpstreamRecord(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        family=row["family"],
        profile=row["profile"],
        base_url=row["base_url"],
        models=_optional_list(row["models"]),
        reach=row["reach"],
        credential_source=row["credential_source"],
        sealed=row["sealed"],
        last4=row["last4"],
    )


def group_of(row: Row) -> Group:
    """A row of `groups`."""
    return Group(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        title=row["title"],
        zone=zone_of_text(row["zone_changes"]),
        each=limits_of_text(row["each_limits"]),
        shared=limits_of_text(row["shared_limits"]),
        models=_optional_list(row["models"]),
        endpoints=_optional_list(row["endpoints"]),
        max_output_tokens=row["max_output_tokens"],
        min_output_tokens=row["min_output_tokens"],
        patience_s=row["patience_s"],
        on_disconnect=row["on_disconnect"],
        unknown_parameters=row["unknown_parameters"],
        show_shared=row["show_shared"],
        state=row["state"],
        self_rotate=row["self_rotate"],
        carry_over=_carry_over(row),
        strikes=part_of_text(row["strikes"], Strikes),
        logging=part_of_text(row["logging"], Logging) or NO_LOGGING,
        log_days=row["log_days"],
        rules=part_of_text(row["rules"], Rules),
        moderation=part_of_text(row["moderation"], Moderation),
        pseudonyms=row["pseudonyms"],
    )


def member_of(row: Row) -> Member:
    """A row of `members`."""
    return Member(
        id=row["id"],
        group_id=_shared(row["group_id"]),
        external_id=row["external_id"],
        name=row["name"],
        email=row["email"],
        limits=limits_of_text(row["limits"]),
        models=_optional_list(row["models"]),
        endpoints=_optional_list(row["endpoints"]),
        max_output_tokens=row["max_output_tokens"],
        state=_shared(row["state"]),
    )


def key_of(row: Row) -> VirtualKey:
    """A row of `keys`."""
    return VirtualKey(
        id=row["id"],
        group_id=_shared(row["group_id"]),
        member_id=row["member_id"],
        name=row["name"],
        digest=row["digest"],
        last4=row["last4"],
        previous_digest=row["previous_digest"],
        previous_until_us=row["previous_until"],
        limits=limits_of_text(row["limits"]),
        models=_optional_list(row["models"]),
        endpoints=_optional_list(row["endpoints"]),
        max_output_tokens=row["max_output_tokens"],
        tags=list_of_text(row["tags"]),
        expires_at_us=row["expires_at"],
        state=_shared(row["state"]),
        taken_from=row["taken_from"],
        taken_digest=row["taken_digest"],
    )


def token_of(row: Row) -> StaffToken:
    """A row of `staff_tokens`."""
    return StaffToken(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        group_ids=frozenset(list_of_text(row["group_ids"])),
        digest=row["digest"],
        last4=row["last4"],
        expires_at_us=row["expires_at"],
        state=row["state"],
        created_by=row["created_by"],
        created_at_us=row["created_at"],
    )


def _carry_over(row: Row) -> CarryOver | None:
    if row["carry_over"] is None:
        return None
    return CarryOver(row["carry_over"], row["carry_since"])


def _optional_list(column: str | None) -> tuple[str, ...] | None:
    return None if column is None else list_of_text(column)


def _shared(text: Any) -> Any:
    """The one copy of a text that many rows hold: with 10,000 members that is 3 MB."""
    return intern(text)
