"""The steps of an erasure after the names are gone: the log of calls, the person's key, the pages of the files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.keeping.keeper import Keeper
from tuckshop.services.erasing import rows
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.wiping import ask_for_wipe
from tuckshop.storage.writer import Writer

_log: Final = logging.getLogger(__name__)

EMPTYINGS: Final = 5  # how often the log's end is asked for, before it is left for later
PAUSE_S: Final = 0.5


class Cleaning:
    """Takes out what is left of members whose rows are nameless. Every step may be repeated."""

    def __init__(
        self,
        writer: Writer,
        person_keys: PersonKeys,
        keeper: Keeper,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> None:
        self._writer = writer
        self._person_keys = person_keys
        self._keeper = keeper
        self._workspace_id = workspace_id

    async def clean(self, member_ids: Sequence[str]) -> bool:
        """
        Do all of it.

        Returns:
            False: kept bodies could not be deleted, or somebody who reads keeps old pages: it has to be done again.
        """
        for member_id in member_ids:
            await self._scrub(member_id)
        gone = await self._writer.transact(partial(self._destroy, member_ids=member_ids))
        try:
            await self._keeper.erase(gone)
        except StoreError as error:  # they are dark already
            _log.warning("an erasure is finished later: %s", error)
            return False
        await self._writer.transact(_rewrite)
        for _ in range(EMPTYINGS):
            if await self._writer.empty_log():
                return True
            await asyncio.sleep(PAUSE_S)
        return False

    def _destroy(self, transaction: Transaction, member_ids: Sequence[str]) -> list[str]:
        """
        Destroy the keys of those who did not come back meanwhile; who that is.

        In a transaction, as coming back is, so that nobody's fresh key is taken for the one before.
        """
        back = rows.returned(transaction.connection, self._workspace_id)
        gone = [one for one in member_ids if one not in back]
        self._person_keys.destroy(gone)
        return gone

    async def _scrub(self, member_id: str) -> None:
        after: tuple[int, str] | None = rows.BEFORE_ALL
        while after is not None:
            begun = after

            def work(
                transaction: Transaction, begun: tuple[int, str] = begun
            ) -> tuple[int, str] | None:
                return rows.scrub_requests(transaction, self._workspace_id, member_id, begun)

            after = await self._writer.transact(work)


def _rewrite(transaction: Transaction) -> None:
    rows.rewrite(transaction)
    ask_for_wipe(transaction)
