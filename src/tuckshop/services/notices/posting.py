"""What is found beside the calls, posted: in transactions of their own, a bounded number in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tuckshop.domain.notices import Notice
from tuckshop.storage.notices import post
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

BATCH: Final = 100


async def post_all(writer: Writer, found: Sequence[Notice]) -> int:
    """Post what was not told before; how many it were."""
    told = 0
    for start in range(0, len(found), BATCH):
        some = found[start : start + BATCH]

        def work(transaction: Transaction, some: Sequence[Notice] = some) -> int:
            return sum(post(transaction, notice) for notice in some)

        told += await writer.transact(work)
    return told
