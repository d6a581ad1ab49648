"""
One thing done to all keys, or members, that a filter finds: in batches, so that calls go on, and the same again later.

What is found is fixed at the beginning; each row is judged again in the transaction that changes it, so that a key
which was revoked meanwhile is skipped. A dry run judges by what the directory says now, and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET, UnsetType
from sqlalchemy import ColumnElement, CompoundSelect, select, union

from tuckshop.domain.actor import Actor
from tuckshop.domain.authority import beyond_as_assistant, beyond_in_more_money
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.domain.globs import matches
from tuckshop.domain.records import Member, VirtualKey
from tuckshop.domain.reservation import Scope
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import fields
from tuckshop.services.authority import check_more_money, refuse
from tuckshop.services.batches import batches, by_batches
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.erasing.rows import NAMELESS
from tuckshop.services.fields import InvalidValueError
from tuckshop.services.key_life import VERBS, follow, key_row, rotate, shown_state
from tuckshop.services.roster import audited_member
from tuckshop.services.shapes.bulk import (
    BulkReport,
    BulkRow,
    KeyAction,
    KeyBulk,
    KeyFilter,
    MemberAction,
    MemberBulk,
    MemberFilter,
)
from tuckshop.storage.database import Database
from tuckshop.storage.schema import folded, members, requests

_IDS_PER_QUERY: Final = 500
# Where each action leads a member; a reset leads nowhere.
_MEMBER_STATES: Final = {"pause": "paused", "resume": "active", "archive": "archived"}


class Bulk:
    """What staff do to many keys or members at once."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        ledger: Ledger,
        database: Database,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger
        self._database = database
        self._clock = clock

    # ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def keys(self, actor: Actor, asked: KeyBulk) -> BulkReport:
        """
        Do *asked* to every key that its filter finds, and say what came of each.

        Raises:
            NotFoundError: No such key, group or member.
            InvalidFieldError: The filter is empty, or a part of what was asked cannot be taken.
            NotPermittedError: A reset is more than the actor's role.
        """
        _check_meant(asked.filter, asked.all)
        if asked.action == "reset":
            refuse(beyond_as_assistant(actor, what="reset"))
        overlap_s = _overlap(asked)
        found = await self._found_keys(actor, asked.filter)
        rows = [
            BulkRow(id=key.id, member=key.member_id, **_of_key(asked.action, key.state))
            for key in found
        ]
        if not asked.dry_run:

            def work(edit: Edit, batch: Sequence[BulkRow]) -> list[BulkRow]:
                return [self._do_key(edit, row, asked, overlap_s) for row in batch]

            rows = [
                row async for done in by_batches(self._changes, actor, rows, work) for row in done
            ]
        return _report(asked.action, asked.dry_run, rows)

    async def _found_keys(self, actor: Actor, asked: KeyFilter) -> list[VirtualKey]:
        directory, now_us = self._directory, self._clock.now_us()
        if asked.keys is not None:
            found = [directory.key(id_, actor) for id_ in dict.fromkeys(asked.keys)]
        else:
            found = directory.keys(actor)
            if asked.state != "archived":
                found = [key for key in found if key.state != "archived"]
        if asked.group is not None:
            group_id = directory.group(asked.group, actor).id
            found = [key for key in found if key.group_id == group_id]
        if asked.member is not None:
            member_id = directory.member(asked.member, actor).id
            found = [key for key in found if key.member_id == member_id]
        found = [
            key
            for key in found
            if set(asked.tags or ()) <= set(key.tags)
            and (asked.name is None or matches(asked.name, key.name or ""))
            and (asked.state is None or shown_state(key, now_us) == asked.state)
            and asked.taken_from in (None, key.taken_from)
        ]
        return await self._unused_since(
            asked.last_used_before,
            found,
            requests.c.key_id,
            {key.id: key.member_id for key in found},
        )

    def _do_key(self, edit: Edit, row: BulkRow, asked: KeyBulk, overlap_s: int) -> BulkRow:
        before = key_row(edit, row.id)
        verdict = _of_key(asked.action, before["state"])
        secret: str | UnsetType = UNSET
        if verdict["result"] == "done":
            if asked.action == "reset":
                self._reset(edit, Scope("key", row.id), with_total=asked.total)
            elif asked.action == "rotate":
                secret = rotate(edit, before, overlap_s=overlap_s)
            else:
                follow(edit, before, asked.action)
        return BulkRow(id=row.id, member=row.member, **verdict, key=secret)

    # ── members ───────────────────────────────────────────────────────────────────────────────────────────────

    async def members(self, actor: Actor, asked: MemberBulk) -> BulkReport:
        """
        The same for members.

        Raises:
            NotFoundError: No such member or group.
            InvalidFieldError: The filter is empty, or a part of it cannot be taken.
            NotPermittedError: A reset would give more than the actor holds; then none is done.
        """
        _check_meant(asked.filter, asked.all)
        found = await self._found_members(actor, asked.filter)
        if asked.action == "reset":
            for member in found:
                group = self._directory.group_of(member)
                refuse(beyond_in_more_money(actor, group, what="reset"))
        rows = [
            BulkRow(
                id=one.id, member=one.id, **_of_member(asked.action, one.state, one.external_id)
            )
            for one in found
        ]
        if not asked.dry_run:

            def work(edit: Edit, batch: Sequence[BulkRow]) -> list[BulkRow]:
                return [self._do_member(edit, row, asked) for row in batch]

            rows = [
                row async for done in by_batches(self._changes, actor, rows, work) for row in done
            ]
        return _report(asked.action, asked.dry_run, rows)

    async def _found_members(self, actor: Actor, asked: MemberFilter) -> list[Member]:
        directory = self._directory
        if asked.members is not None:
            found = [directory.member(id_, actor) for id_ in dict.fromkeys(asked.members)]
        else:
            found = directory.members(actor)
            if asked.state != "archived":
                found = [member for member in found if member.state != "archived"]
        if asked.group is not None:
            group_id = directory.group(asked.group, actor).id
            found = [member for member in found if member.group_id == group_id]
        found = [
            member
            for member in found
            if (asked.external_id is None or matches(asked.external_id, member.external_id))
            and asked.state in (None, member.state)
        ]
        return await self._unused_since(
            asked.last_used_before, found, requests.c.member_id, {one.id: one.id for one in found}
        )

    def _do_member(self, edit: Edit, row: BulkRow, asked: MemberBulk) -> BulkRow:
        before = _member_row(edit, row.id)
        verdict = _of_member(asked.action, before["state"], before["external_id"])
        if verdict["result"] == "done":
            if asked.action == "reset":
                check_more_money(edit, before["group_id"], what="reset")
                self._reset(edit, Scope("member", row.id), with_total=asked.total)
            else:
                after = {"state": _MEMBER_STATES[asked.action]}
                edit.alter(members, f"member.{asked.action}", before, after, audited=audited_member)
        return BulkRow(id=row.id, member=row.member, **verdict)

    # ── both ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _reset(self, edit: Edit, scope: Scope, *, with_total: bool) -> None:
        self._ledger.reset_in(edit.transaction, [scope], edit.actor, with_total=with_total)
        edit.audit(f"{scope.kind}.reset", scope.id, None, {"with_total": with_total})

    async def _unused_since(
        self,
        before: str | None,
        found: list[Any],
        column: ColumnElement[Any],
        members_of: Mapping[str, str],
    ) -> list[Any]:
        """Those of *found* that did not call from *before* on."""
        if before is None:
            return found
        try:
            since_us = fields.instant_of_text(before)
        except InvalidValueError as error:
            raise InvalidFieldError("filter.last_used_before", str(error)) from None
        queries = [
            _callers(self._directory.workspace.id, column, since_us, some)
            for some in batches(sorted(set(members_of.values())), _IDS_PER_QUERY)
        ]

        def read() -> set[str]:
            with self._database.reader() as connection:
                return {id_ for query in queries for id_ in connection.execute(query).scalars()}

        await self._ledger.flush()
        used = await asyncio.to_thread(read)
        return [one for one in found if one.id not in used]


def _check_meant(asked: KeyFilter | MemberFilter, everything: bool) -> None:
    if asked == type(asked)():
        if not everything:
            raise InvalidFieldError(
                "filter", 'names nothing, which would be everything: say so with "all": true'
            )
    elif everything:
        raise InvalidFieldError("all", "is for an empty filter: this one names some already")


def _overlap(asked: KeyBulk) -> int:
    if asked.overlap is None:
        return 0
    if asked.action != "rotate":
        raise InvalidFieldError("overlap", "is for a rotation")
    try:
        return fields.overlap(asked.overlap)
    except InvalidValueError as error:
        raise InvalidFieldError("overlap", str(error)) from None


def _of_key(action: KeyAction, state: str) -> dict[str, Any]:
    """What *action* does to a key in *state*."""
    if action == "reset":
        return {"result": "done"}
    if action == "rotate":
        after: str | None = None if state in ("revoked", "archived") else "rotated"
    else:
        after = VERBS[action].get(state)
    if after is None:
        return {"result": "skipped", "reason": f"is {state}, which is for good"}
    return {"result": "unchanged" if after == state else "done"}


def _of_member(action: MemberAction, state: str, external_id: str) -> dict[str, Any]:
    """What *action* does to a member in *state*."""
    if external_id == NAMELESS:
        return {"result": "skipped", "reason": "was erased"}
    if action == "pause" and state == "archived":
        return {"result": "skipped", "reason": "is archived: resume them first"}
    return {"result": "unchanged" if _MEMBER_STATES.get(action) == state else "done"}


def _report(action: KeyAction, dry_run: bool, rows: list[BulkRow]) -> BulkReport:
    results = [row.result for row in rows]
    return BulkReport(
        action=action,
        dry_run=dry_run,
        matched=len(rows),
        done=results.count("done"),
        unchanged=results.count("unchanged"),
        skipped=results.count("skipped"),
        data=rows,
    )


def _callers(
    workspace_id: str, column: ColumnElement[Any], since_us: int, member_ids: Sequence[str]
) -> CompoundSelect[Any]:
    rows, sums = requests.c, folded.c
    return union(
        select(column).where(
            rows.workspace_id == workspace_id,
            rows.member_id.in_(member_ids),
            rows.admitted_at >= since_us,
        ),
        select(sums[str(column.key)]).where(
            sums.workspace_id == workspace_id,
            sums.member_id.in_(member_ids),
            sums.last_at >= since_us,
        ),
    )


def _member_row(edit: Edit, member_id: str) -> Mapping[str, Any]:
    query = select(members).where(
        members.c.workspace_id == edit.workspace_id, members.c.id == member_id
    )
    return dict(edit.connection.execute(query).mappings().one())
