"""
At the start, before anybody is served: what the list of erasures says and the ledger does not show yet (P4, P10).

That is what a crash interrupted, and after a restore everything that was erased since the backup was made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from tuckshop.domain.actor import SYSTEM
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.keeping.keeper import Keeper
from tuckshop.services.batches import batches
from tuckshop.services.erasing.cleaning import Cleaning
from tuckshop.services.erasing.rows import has_ended, returned, strip
from tuckshop.storage.erasures import Erasure, ErasureList
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.schema import groups, members
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

_log: Final = logging.getLogger(__name__)

_AT_ONCE: Final = 200


async def finish_erasures(
    writer: Writer, person_keys: PersonKeys, keeper: Keeper, erasures: ErasureList
) -> list[str]:
    """
    Erase whoever is on the list and still here; the ids of those about whom something was done.

    Raises:
        StoreError: The list cannot be read.
    """
    listed = await asyncio.to_thread(erasures.read)
    if not listed:
        return []
    todo: list[str] = []
    for some in batches(listed, _AT_ONCE):

        def work(transaction: Transaction, some: Sequence[Erasure] = some) -> list[str]:
            return _strip_again(transaction, some, person_keys)

        stripped = set(await writer.transact(work))
        todo += [one.member_id for one in some if one.member_id in stripped or not one.is_done]
    if todo:
        _log.warning("finishing the erasure of %d members", len(todo))
        if await Cleaning(writer, person_keys, keeper).clean(todo):
            await asyncio.to_thread(erasures.done, todo)
    await _put_keys_right(writer, person_keys, [one.member_id for one in listed])
    return todo


def _strip_again(
    transaction: Transaction, listed: Sequence[Erasure], person_keys: PersonKeys
) -> list[str]:
    """Those of *listed* whose rows the ledger has as they were before."""
    columns = members.c
    found = {
        row.id: row
        for row in transaction.connection.execute(
            select(columns.id, columns.external_id_folded, columns.erased_at).where(
                columns.workspace_id == DEFAULT_WORKSPACE,
                columns.id.in_([one.member_id for one in listed]),
            )
        )
    }
    stripped: list[str] = []
    for one in listed:
        row = found.get(one.member_id)
        if row is None:
            continue
        is_done = row.erased_at is not None and row.erased_at >= one.at_us
        if is_done and (not one.has_ended or has_ended(row.external_id_folded)):
            continue
        counted, _ = strip(transaction, DEFAULT_WORKSPACE, one, person_keys)
        transaction.audit(
            SYSTEM,
            "member.erase",
            one.member_id,
            None,
            {
                "reason": "on the list of erasures",
                "keys": counted.keys,
                "requests": counted.requests,
            },
        )
        stripped.append(one.member_id)
    return stripped


async def _put_keys_right(writer: Writer, person_keys: PersonKeys, listed: list[str]) -> None:
    """
    After the keys came from a backup: nobody who is erased has one, and everybody who came back does.

    Of groups that have ended the same: their own key comes back only with them.
    """

    def here_now(transaction: Transaction) -> set[str]:
        running = select(groups.c.id).where(
            groups.c.workspace_id == DEFAULT_WORKSPACE, groups.c.state != "archived"
        )
        return {
            *returned(transaction.connection, DEFAULT_WORKSPACE),
            *transaction.connection.execute(running).scalars(),
        }

    here = await writer.transact(here_now)
    alive = await asyncio.to_thread(person_keys.alive, listed)
    await asyncio.to_thread(person_keys.destroy, sorted(alive - here))
    for member_id in sorted(here.intersection(listed) - alive):
        await asyncio.to_thread(person_keys.renew, member_id)
