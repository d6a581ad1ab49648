"""K16: the audit trail shows when a row was changed, taken out, moved or slipped in."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from tests.integration.storage.notes import ManualClock, writing
from tuckshop.domain.actor import OPERATOR, Actor
from tuckshop.storage import schema
from tuckshop.storage.audit import first_broken_audit_row
from tuckshop.storage.transaction import Transaction

WORKSPACE = "wsp_default"


def write_rows(folder: Path, count: int = 5) -> Path:
    async def main() -> Path:
        async with writing(folder, ManualClock()) as (writer, database):

            def work(transaction: Transaction) -> None:
                for i in range(count):
                    number = transaction.audit(
                        Actor(kind="member", id="mem_1") if i % 2 else OPERATOR,
                        "group.change",
                        f"grp_{i}",
                        {"title": "Übung", "limit": Decimal("0.20")},
                        {"title": "Übung 2"} if i else None,
                    )
                    assert number == i + 1

            await writer.transact(work)
            return database.path

    return asyncio.run(main())


def first_broken(path: Path) -> int | None:
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            return first_broken_audit_row(connection, WORKSPACE)
    finally:
        engine.dispose()


def test_a_chain_that_nobody_touched_is_whole(tmp_path: Path) -> None:
    path = write_rows(tmp_path)

    assert first_broken(path) is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET actor = 'system' WHERE number = 2", 2),
        ("UPDATE audit SET action = 'group.create' WHERE number = 3", 3),
        ("UPDATE audit SET object_id = 'grp_9' WHERE number = 1", 1),
        ("UPDATE audit SET at = at + 1 WHERE number = 5", 5),
        ("UPDATE audit SET before = NULL WHERE number = 4", 4),
        ("UPDATE audit SET after = before WHERE number = 4", 4),
        ("UPDATE audit SET hash = zeroblob(32) WHERE number = 4", 4),
        ("UPDATE audit SET previous_hash = zeroblob(32) WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 1", 1),
        ("DELETE FROM audit WHERE number = 3", 3),
        ("UPDATE audit SET number = number + 10 WHERE number = 2", 2),
        (
            "INSERT INTO audit SELECT workspace_id, 6, at, actor, action, object_id, before,"
            " after, previous_hash, hash FROM audit WHERE number = 5",
            6,
        ),
    ],
)
def test_tampering_shows_where_it_was(tmp_path: Path, statement: str, broken: int) -> None:
    path = write_rows(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()

    assert first_broken(path) == broken


def test_a_job_that_fails_leaves_no_gap_in_the_numbers(tmp_path: Path) -> None:
    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, database):

            def fail(transaction: Transaction) -> None:
                transaction.audit(OPERATOR, "group.create", "grp_1", None, {})
                raise ValueError

            def succeed(transaction: Transaction) -> int:
                return transaction.audit(OPERATOR, "group.create", "grp_2", None, {})

            assert await writer.transact(succeed) == 1
            with pytest.raises(ValueError):  # noqa: PT011 - the job's own
                await writer.transact(fail)
            assert await writer.transact(succeed) == 2
            with database.reader() as connection:
                assert first_broken_audit_row(connection, WORKSPACE) is None

    asyncio.run(main())


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = write_rows(tmp_path, 2)

    async def main() -> None:
        async with writing(tmp_path, ManualClock()) as (writer, _):

            def work(transaction: Transaction) -> int:
                return transaction.audit(OPERATOR, "group.create", "grp_1", None, {"a": 1})

            assert await writer.transact(work) == 3

    asyncio.run(main())

    assert first_broken(path) is None
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.execute(select(schema.audit.c.actor, schema.audit.c.after)).all()
    engine.dispose()
    assert rows[-1] == ("operator", '{"a":1}')
