"""What the ledger holds about one member beyond what staff have lists of: as it is told to that person."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, func, or_, select

from tuckshop.domain.money import usd
from tuckshop.services.fields import rfc3339
from tuckshop.services.flags import appeal_place
from tuckshop.services.personal import words
from tuckshop.services.shapes.exporting import (
    ExportedAppeal,
    ExportedEntry,
    ExportedLink,
    ExportedNotice,
)
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.schema import (
    appeals,
    claims,
    deliveries,
    entries,
    flagged_calls,
    flags,
    keys,
    mailed_notices,
    members,
    notices,
    requests,
)

# Of the entries those that somebody made; the others are how a grant is kept account of.
_KINDS: Final = ("grant", "reset", "correction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What was found."""

    created_at: str
    erased_at: str | None
    calls: int
    links: list[ExportedLink]
    entries: list[ExportedEntry]
    calls_of_flags: dict[str, list[str]]
    appeals: list[ExportedAppeal]
    notices: list[ExportedNotice]


def rows_of(
    connection: Connection, workspace_id: str, member_id: str, person_keys: PersonKeys
) -> Rows:
    """All of it, oldest first. For worker threads."""
    created_at, erased_at = connection.execute(
        select(members.c.created_at, members.c.erased_at).where(
            members.c.workspace_id == workspace_id, members.c.id == member_id
        )
    ).one()
    return Rows(
        created_at=rfc3339(created_at),
        erased_at=_at(erased_at),
        calls=_calls(connection, workspace_id, member_id),
        links=_links(connection, workspace_id, member_id),
        entries=_entries(connection, workspace_id, member_id),
        calls_of_flags=_calls_of_flags(connection, workspace_id, member_id),
        appeals=_appeals(connection, workspace_id, member_id, person_keys),
        notices=_notices(connection, workspace_id, member_id),
    )


def _calls(connection: Connection, workspace_id: str, member_id: str) -> int:
    query = select(func.count()).where(
        requests.c.workspace_id == workspace_id, requests.c.member_id == member_id
    )
    return int(connection.execute(query).scalar_one())


def _of_member(connection: Connection, table: Table, *terms: Any) -> list[dict[str, Any]]:
    query = select(table).where(*terms).order_by(table.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _links(connection: Connection, workspace_id: str, member_id: str) -> list[ExportedLink]:
    found = _of_member(
        connection, claims, claims.c.workspace_id == workspace_id, claims.c.member_id == member_id
    )
    return [
        ExportedLink(
            id=row["id"],
            created_at=rfc3339(row["created_at"]),
            expires_at=rfc3339(row["expires_at"]),
            state=row["state"],
            used_at=_at(row["used_at"]),
            key=row["key_id"],
        )
        for row in found
    ]


def _entries(connection: Connection, workspace_id: str, member_id: str) -> list[ExportedEntry]:
    columns = entries.c
    own_keys = select(keys.c.id).where(
        keys.c.workspace_id == workspace_id, keys.c.member_id == member_id
    )
    own_calls = select(requests.c.id).where(
        requests.c.workspace_id == workspace_id,
        requests.c.member_id == member_id,
        requests.c.id == columns.request_id,
    )
    found = _of_member(
        connection,
        entries,
        columns.workspace_id == workspace_id,
        columns.kind.in_(_KINDS),
        or_(
            (columns.scope_kind == "member") & (columns.scope_id == member_id),
            (columns.scope_kind == "key") & columns.scope_id.in_(own_keys),
            (columns.kind == "correction") & own_calls.exists(),
        ),
    )
    return [
        ExportedEntry(
            id=row["id"],
            at=rfc3339(row["at"]),
            kind=row["kind"],
            by=row["actor"],
            about=row["request_id"] or row["scope_id"],
            amount_usd=None if row["cost"] is None else usd(row["cost"]),
            until=_at(row["until"]),
            reason=row["reason"],
        )
        for row in found
    ]


def _calls_of_flags(
    connection: Connection, workspace_id: str, member_id: str
) -> dict[str, list[str]]:
    query = (
        select(flagged_calls.c.flag_id, flagged_calls.c.request_id)
        .join(
            flags,
            (flags.c.workspace_id == flagged_calls.c.workspace_id)
            & (flags.c.id == flagged_calls.c.flag_id),
        )
        .where(flags.c.workspace_id == workspace_id, flags.c.member_id == member_id)
        .order_by(flagged_calls.c.request_id)
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for flag_id, request_id in connection.execute(query):
        found[flag_id].append(request_id)
    return dict(found)


def _appeals(
    connection: Connection, workspace_id: str, member_id: str, person_keys: PersonKeys
) -> list[ExportedAppeal]:
    found = _of_member(
        connection,
        appeals,
        appeals.c.workspace_id == workspace_id,
        appeals.c.member_id == member_id,
    )
    return [
        ExportedAppeal(
            id=row["id"],
            created_at=rfc3339(row["created_at"]),
            sent_at=_at(row["sent_at"]),
            by=row["sent_by"],
            flag=row["flag_id"],
            state=row["state"],
            reason=words(member_id, row["reason"], person_keys, place=appeal_place(row["id"])),
        )
        for row in found
    ]


def _notices(connection: Connection, workspace_id: str, member_id: str) -> list[ExportedNotice]:
    columns = notices.c
    own_keys = select(keys.c.id).where(
        keys.c.workspace_id == workspace_id, keys.c.member_id == member_id
    )
    terms = (
        columns.workspace_id == workspace_id,
        or_(columns.member_id == member_id, columns.key_id.in_(own_keys)),
    )
    ids = select(columns.id).where(*terms)

    def told(table: Table) -> dict[str, int]:
        query = (
            select(table.c.notice_id, func.count())
            .where(table.c.workspace_id == workspace_id, table.c.notice_id.in_(ids))
            .group_by(table.c.notice_id)
        )
        return {row[0]: int(row[1]) for row in connection.execute(query)}

    by_mail, by_webhook = told(mailed_notices), told(deliveries)
    return [
        ExportedNotice(
            id=row["id"],
            at=rfc3339(row["at"]),
            kind=row["kind"],
            key=row["key_id"],
            request=row["request_id"],
            facts=msgspec.json.decode(row["facts"], type=dict[str, Any]),
            mails=by_mail.get(row["id"], 0),
            webhooks=by_webhook.get(row["id"], 0),
        )
        for row in _of_member(connection, notices, *terms)
    ]


def _at(at_us: int | None) -> str | None:
    return None if at_us is None else rfc3339(at_us)
