"""D3, D4, M1, M6, M15 together: whatever fails and in whatever order, what the ledger told is true."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.support.flaky import make_flaky
from tests.support.ledger_kit import ANNA, BEN, hold, in_force, serving, settlement, void
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import RefusalError, ServerBusyError
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.ledger import Ledger
from tuckshop.ledger.replay import peak_of
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage.database import open_for_reading
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer
from tuckshop.system_clock import SystemClock

ENOUGH = 20  # calls that were admitted and ended
LIMITS = ("4 concurrent requests", "$0.0004/day", "2000000 tokens/minute")


@pytest.mark.parametrize("seed", range(4))
def test_what_was_told_is_true_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    failures = make_flaky(monkeypatch, random.Random(seed + 1))
    ended: dict[str, int | None] = {}  # what those who were told did: a charge, or None for void
    refused: set[str] = set()

    async def caller(ledger: Ledger, number: int) -> None:
        person = ANNA if number % 2 else BEN
        limits = [in_force(text, "member", person) for text in LIMITS]
        # A slow machine needs more turns until enough of them were admitted to say something.
        for turn in range(400):
            if turn >= 16 and len(ended) > ENOUGH:
                break
            request_id = f"req_{number}_{turn}"
            call = hold(*limits, person=person, patience_s=0.3, request_id=request_id)
            task = asyncio.ensure_future(ledger.reserve(call))
            if chance.random() < 0.15:
                await asyncio.sleep(chance.random() * 0.02)
                task.cancel()
            try:
                granted = await task
            except (RefusalError, asyncio.CancelledError):
                refused.add(request_id)
                await asyncio.sleep(0.01)
                continue
            await asyncio.sleep(chance.random() * 0.005)
            if chance.random() < 0.7:
                ended[request_id] = None
                ledger.void(void(granted.request_id))
            else:
                ended[request_id] = chance.randrange(20_000)
                cost = ended[request_id] or 0
                ledger.settle(settlement(granted.request_id, Amounts(cost_nano=cost)))

    async def staff(writer: Writer, ledger: Ledger) -> None:
        def grant(transaction: Transaction) -> None:
            ledger.grant_in(
                transaction,
                [ANNA.member],
                OPERATOR,
                amount_nano=50_000,
                until_us=None,
                reason=None,
            )

        def reset(transaction: Transaction) -> None:
            ledger.reset_in(transaction, [ANNA.scope("member")], OPERATOR)

        for turn in range(30):
            await asyncio.sleep(0.01)
            try:
                if turn % 5 == 0:
                    await writer.transact(grant)
                if turn % 10 == 7:
                    await writer.transact(reset)
                await ledger.states(
                    [in_force("$0.0004/day"), in_force("7 requests/minute", "group")]
                )
            except ServerBusyError:
                continue

    async def main() -> None:
        async with serving(tmp_path, SystemClock()) as (ledger, writer, _):
            with failures.at(0.06):
                await asyncio.gather(
                    staff(writer, ledger), *(caller(ledger, number) for number in range(24))
                )
            for _ in range(400):
                await asyncio.sleep(0.01)
                if writer.trouble is None and not writer.waiting:
                    break
            await ledger.flush()

    asyncio.run(main())

    assert [str(d) for d in verify_folder(tmp_path, full=True).differences] == []
    connection = open_for_reading(tmp_path)
    rows = {
        id_: (state, cost)
        for id_, state, cost in connection.execute("SELECT id, state, cost FROM requests")
    }
    for request_id, charge in ended.items():
        told = ("voided", 0) if charge is None else ("settled", charge)
        assert rows[request_id] == told, request_id
    for request_id in refused & rows.keys():
        assert rows[request_id] == ("voided", 0), request_id  # M15, M10
    assert rows.keys() <= ended.keys() | refused
    assert len(ended) > ENOUGH
    cursor = connection.cursor()
    granted = dict(
        connection.execute(
            "SELECT scope_id, sum(cost) FROM entries WHERE kind = 'grant' GROUP BY 1"
        )
    )
    for person in (ANNA, BEN):
        for text in LIMITS:
            limit = in_force(text, "member", person)
            more = granted.get(person.member, 0) if limit.is_liftable else 0
            assert peak_of(cursor, "wsp_default", limit) <= limit.limit.amount + more, text
    connection.close()
