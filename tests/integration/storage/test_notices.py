"""Notices are written in the transaction of what they tell of."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from tests.support.fake_clock import FakeClock
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.notices import Notice
from tuckshop.storage.database import prepare
from tuckshop.storage.notices import post
from tuckshop.storage.schema import notices
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer


@pytest.mark.anyio
async def test_a_notice_is_there_with_its_change_or_not_at_all_and_once(tmp_path: Path) -> None:
    notice = Notice(
        kind="strike",
        workspace_id=DEFAULT_WORKSPACE,
        member_id="mem_1",
        facts={"count": 3},
        once="a",
    )
    database = prepare(tmp_path / "data", durability="process")
    writer = Writer(database, FakeClock())
    await writer.start()

    def fails(transaction: Transaction) -> None:
        post(transaction, notice)
        raise ValueError("the change it tells of")

    try:
        with pytest.raises(ValueError, match="the change"):
            await writer.transact(fails)
        told = [await writer.transact(lambda transaction: post(transaction, notice)) for _ in "12"]
        with database.reader() as connection:
            rows = connection.execute(select(notices.c.member_id, notices.c.facts)).all()
    finally:
        await writer.close()
        database.close()

    assert told == [True, False]
    assert rows == [("mem_1", '{"count":3}')]
