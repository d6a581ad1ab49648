"""
Usage by tag: summed from the rows of the log, since the roll-up has no tags (clients may invent one for each call).

So only so many calls at a time; what is asked for is counted first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, FromClause, func, literal, select, union_all

from tuckshop.domain.errors import InvalidFieldError
from tuckshop.services.log_search import Search, along
from tuckshop.storage.schema import entries, requests

CALLS_MAX: Final = 200_000
_SAME: Final = ("workspace_id", "group_id", "member_id", "key_id", "model", "endpoint", "tag")


def tagged_calls(
    connection: Connection,
    workspace_id: str,
    where: Mapping[str, str | Sequence[str]],
    *,
    since_us: int | None,
    until_us: int,
) -> FromClause:
    """
    The calls of that time and their corrections, in the columns of the roll-up and one for the tag.

    Raises:
        InvalidFieldError: They are too many.
    """

    def one(name: str) -> str | None:
        value = where.get(name)
        return value if isinstance(value, str) else None

    search = Search(
        workspace_id=workspace_id,
        group_id=one("group_id"),
        member_id=one("member_id"),
        since_us=since_us,
        until_us=until_us,
    )
    inside = [requests.c.workspace_id == workspace_id, *along(connection, search)]
    counted = select(requests.c.position).where(*inside).limit(CALLS_MAX + 1).subquery()
    if (connection.execute(select(func.count()).select_from(counted)).scalar() or 0) > CALLS_MAX:
        raise InvalidFieldError(
            "by",
            f"by tag sums at most {CALLS_MAX:,} calls at once: ask for a shorter time or a group",
        )
    same = [requests.c[name] for name in _SAME]
    calls = select(
        *same,
        requests.c.admitted_at.label("bucket"),
        literal(1).label("requests"),
        *(requests.c[name] for name in ("input_tokens", "output_tokens", "cached_tokens", "cost")),
    ).where(*inside, *search.times, requests.c.state == "settled")
    corrections = (
        select(
            *same,
            requests.c.admitted_at,
            literal(0),
            entries.c.input_tokens,
            entries.c.output_tokens,
            literal(0),
            entries.c.cost,
        )
        .join_from(
            entries,
            requests,
            (requests.c.workspace_id == entries.c.workspace_id)
            & (requests.c.id == entries.c.request_id),
        )
        .where(
            entries.c.workspace_id == workspace_id,
            entries.c.kind == "correction",
            *search.times,
            requests.c.state == "settled",
        )
    )
    return union_all(calls, corrections).subquery("calls")
