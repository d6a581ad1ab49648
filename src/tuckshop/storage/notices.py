"""Notices on their way out: written in the transaction of what they tell of, so that neither is there alone."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import insert, select

from tuckshop.domain.ids import new_id
from tuckshop.domain.notices import Notice
from tuckshop.storage.schema import notices
from tuckshop.storage.transaction import Transaction

_FACTS: Final = msgspec.json.Encoder(decimal_format="number")


def post(transaction: Transaction, notice: Notice) -> bool:
    """Write *notice* down, to be passed on when the transaction is committed; False: it was told before."""
    connection = transaction.connection
    if notice.once is not None:
        told = select(notices.c.id).where(
            notices.c.workspace_id == notice.workspace_id, notices.c.once == notice.once
        )
        if connection.execute(told).first() is not None:
            return False
    connection.execute(
        insert(notices).values(
            workspace_id=notice.workspace_id,
            id=new_id("ntc", transaction.now_us),
            at=transaction.now_us,
            kind=notice.kind,
            group_id=notice.group_id,
            member_id=notice.member_id,
            key_id=notice.key_id,
            request_id=notice.request_id,
            facts=_FACTS.encode(notice.facts).decode(),
            once=notice.once,
        )
    )
    return True
