"""
Strikes: so many contents of a member's own in so many days pause the member, or the key, until staff have looked.

A repeat of a content that counts already pauses nobody: so whoever was resumed is paused again only by something new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, distinct, func, select, update

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.flags import NewFlag, Strikes
from tuckshop.domain.notices import Notice
from tuckshop.services.changes import Edit
from tuckshop.services.issuing import audited_key
from tuckshop.services.roster import audited_member
from tuckshop.storage.notices import post
from tuckshop.storage.rows import part_of_text
from tuckshop.storage.schema import flags, groups, keys, members

_DAY_US: Final = 86_400 * US_PER_SECOND
_Shown = Callable[[Mapping[str, object]], dict[str, object]]


def strike_in(edit: Edit, flag: NewFlag, flag_id: str, *, counted_us: int | None) -> bool:
    """
    Pause whom the group's policy says, if *flag*, which was just written, is one too many.

    Args:
        counted_us: When the same content was last a strike; None: never.
    Returns:
        Whether somebody was paused.
    """
    strikes = _policy(edit, flag.group_id)
    if strikes is None:
        return False
    since_us = edit.now_us - strikes.days * _DAY_US
    if counted_us is not None and counted_us >= since_us:
        return False
    counted = _counted(edit, flag.member_id, since_us)
    count = edit.connection.execute(
        select(func.count(distinct(flags.c.content))).where(*counted)
    ).scalar_one()
    if count < strikes.count or not _is_counted(edit, flag_id, counted):
        return False
    is_paused = strikes.pause != "none" and _pause(edit, flag, strikes, counted)
    if is_paused or strikes.pause == "none":
        post(edit.transaction, _notice(flag, flag_id, strikes, count))
    return is_paused


def _policy(edit: Edit, group_id: str) -> Strikes | None:
    query = select(groups.c.strikes).where(
        groups.c.workspace_id == edit.workspace_id, groups.c.id == group_id
    )
    return part_of_text(edit.connection.execute(query).scalar(), Strikes)


def _counted(edit: Edit, member_id: str, since_us: int) -> tuple[ColumnElement[bool], ...]:
    return (
        flags.c.workspace_id == edit.workspace_id,
        flags.c.member_id == member_id,
        flags.c.last_at >= since_us,
        flags.c.is_own,
        flags.c.state != "dismissed",
    )


def _is_counted(edit: Edit, flag_id: str, counted: tuple[ColumnElement[bool], ...]) -> bool:
    """Does the flag count? One that was dismissed does not when it comes again."""
    query = select(flags.c.id).where(*counted, flags.c.id == flag_id)
    return edit.connection.execute(query).first() is not None


def _pause(
    edit: Edit, flag: NewFlag, strikes: Strikes, counted: tuple[ColumnElement[bool], ...]
) -> bool:
    """Pause the member or the key, unless it is not active any more; was it?"""
    table, object_id, shown = _whom(flag, strikes)
    row = edit.connection.execute(
        select(table).where(table.c.workspace_id == edit.workspace_id, table.c.id == object_id)
    ).mappings()
    before = row.first()
    if before is None or before["state"] != "active":
        return False
    query = select(flags.c.id).where(*counted).order_by(flags.c.id.desc())
    ids = sorted(edit.connection.execute(query.limit(strikes.count)).scalars())

    def audited(columns: Mapping[str, object]) -> dict[str, object]:
        why = {"flags": ids} if columns["state"] == "paused" else {}
        return {**shown(columns), **why}

    kind = table.name.removesuffix("s")
    edit.alter(table, f"{kind}.strike", dict(before), {"state": "paused"}, audited=audited)
    edit.connection.execute(update(flags).where(*counted).values(struck_id=object_id))
    return True


def _whom(flag: NewFlag, strikes: Strikes) -> tuple[Table, str, _Shown]:
    if strikes.pause == "key":
        return keys, flag.key_id, audited_key
    return members, flag.member_id, audited_member


def _notice(flag: NewFlag, flag_id: str, strikes: Strikes, count: Any) -> Notice:
    return Notice(
        kind="strike",
        workspace_id=flag.workspace_id,
        group_id=flag.group_id,
        member_id=flag.member_id,
        key_id=flag.key_id,
        request_id=flag.request_id,
        facts={
            "flag": flag_id,
            "contents": int(count),
            "days": strikes.days,
            "paused": strikes.pause,
        },
    )
