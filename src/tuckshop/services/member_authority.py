"""Whether staff may change members as they wish to: asked of a row as it is written, and of a list before (K6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from sqlalchemy import select

from tuckshop.domain.actor import Actor
from tuckshop.domain.authority import Authority
from tuckshop.domain.records import Group
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.authority import check_member, group_in
from tuckshop.services.changes import Edit
from tuckshop.services.roster import NOTHING_SET, ReadyRow, RowCheck, new_row
from tuckshop.storage.database import Database
from tuckshop.storage.schema import members


class MemberAuthority:
    """Holds those who change members to what they hold themselves."""

    def __init__(self, authority: Authority, ledger: Ledger, database: Database) -> None:
        self._authority = authority
        self._ledger = ledger
        self._database = database

    async def check_all(self, actor: Actor, group: Group, ready: Sequence[ReadyRow]) -> None:
        """
        Look at all rows before any goes in, as a long list goes in by several transactions.

        Raises:
            NotPermittedError: A row would give more than the actor holds.
        """
        giving = [one for one in ready if NOTHING_SET.keys() & one.columns.keys()]
        if actor.is_at_least("operator") or not giving:
            return
        query = select(members).where(
            members.c.workspace_id == group.workspace_id, members.c.group_id == group.id
        )

        def check() -> None:
            with self._database.reader() as connection:
                rows = connection.execute(query).mappings()
                known = {row["external_id_folded"]: dict(row) for row in rows}
            for one in giving:
                new = new_row("", group.id, {**one.columns, **NOTHING_SET})
                before = known.get(one.columns["external_id_folded"], new)
                check_member(self._authority, actor, group, before, one.columns)

        await self._ledger.flush()
        await asyncio.to_thread(check)

    def check_of(self, edit: Edit, group_id: str) -> RowCheck:
        """Refuses what of a member's row would be more than whoever makes *edit* holds."""
        if edit.actor.is_at_least("operator"):
            return lambda before, after: None
        return partial(check_member, self._authority, edit.actor, group_in(edit, group_id))
