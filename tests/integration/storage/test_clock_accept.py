"""Section 6: `clock accept` lets a server go on by its clock, durably, audited, and only when there is need."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.storage.notes import ManualClock, Note, Notes, make_workspace, writing
from tests.integration.storage.test_writer_trouble import ask
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import ConflictError
from tuckshop.storage.transaction import Transaction

HOUR = 3_600_000_000


def put_row(transaction: Transaction) -> None:
    """A call admitted now."""
    position = transaction.next_position()
    transaction.cursor.execute(
        "INSERT INTO requests (workspace_id, id, position, admitted_at, owner, state, group_id, member_id, key_id,"
        " endpoint, endpoint_group, model, upstream, held_cost, held_input_tokens, held_output_tokens)"
        " VALUES ('wsp_default', ?, ?, ?, '', 'settled', '', '', '', '', '', '', '', 0, 0, 0)",
        (f"req_{position}", position, transaction.now_us),
    )


def last_audit(transaction: Transaction) -> tuple[object, ...]:
    row: tuple[object, ...] = transaction.cursor.execute(
        'SELECT actor, action, at, "before", "after" FROM audit ORDER BY number DESC LIMIT 1'
    ).fetchone()
    return row


@pytest.mark.parametrize("jump_us", [-HOUR, 48 * HOUR], ids=["back", "ahead"])
def test_the_server_goes_on_by_the_clock_that_was_accepted(tmp_path: Path, jump_us: int) -> None:
    clock = ManualClock()
    seen_us = clock.wall_us

    async def main() -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            await writer.transact(make_workspace)
            await writer.transact(put_row)
            clock.wall_us += jump_us
            writer.poke()
            await writer.flush()
            assert writer.trouble == "the server's clock is not fit"

            assert await writer.accept_clock(OPERATOR) == (seen_us, clock.wall_us)
            await writer.flush()

            assert writer.trouble is None
            assert await ask(writer, Note("on")) >= 1
            assert await writer.transact(lambda t: t.now_us) == clock.wall_us
            actor, action, at, before, after = await writer.transact(last_audit)
            assert (actor, action, at) == ("operator", "clock.accept", clock.wall_us)
            assert (before, after) == (
                f'{{"latest_us":{seen_us}}}',
                f'{{"latest_us":{clock.wall_us}}}',
            )

    async def again() -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            await writer.flush()
            assert writer.trouble is None
            with pytest.raises(ConflictError, match="nothing to accept"):
                await writer.accept_clock(OPERATOR)

    asyncio.run(main())
    clock.pass_s(1)
    asyncio.run(again())


def test_a_start_far_behind_takes_calls_once_it_is_accepted(tmp_path: Path) -> None:
    """The row that an earlier clock dated later than now does not stop the start after that."""
    clock = ManualClock()

    async def before() -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            await writer.transact(make_workspace)
            await writer.transact(put_row)

    async def after(*, fit: bool) -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            await writer.flush()
            assert (writer.trouble is None) == fit
            if not fit:
                await writer.accept_clock(OPERATOR)

    asyncio.run(before())
    clock.wall_us -= 1_000 * HOUR
    asyncio.run(after(fit=False))
    asyncio.run(after(fit=True))
    clock.wall_us -= HOUR
    asyncio.run(after(fit=False))


def test_an_acceptance_that_is_not_written_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()

    async def main() -> None:
        async with writing(tmp_path, clock, Notes()) as (writer, _):
            clock.wall_us -= HOUR
            writer.poke()
            await writer.flush()
            inside = writer._inside
            monkeypatch.setattr(
                Transaction, "audit", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no"))
            )
            with pytest.raises(RuntimeError):
                await writer.accept_clock(OPERATOR)
            await writer.flush()
            assert inside.trouble is not None

    asyncio.run(main())
