"""Run as a process of its own: reserves and settles without end, and says on stdout what it was told."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.support.ledger_kit import (
    ANNA,
    BEN,
    GROUP,
    Person,
    hold,
    in_force,
    serving,
    settlement,
    void,
)
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import RefusalError
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.ledger import Ledger
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer
from tuckshop.system_clock import SystemClock

CLEO = Person("key_c", "mem_c", "grp_c")  # who lives on grants
LIMITS = ("$0.02/day", "60 concurrent requests", "100000 requests/minute")


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def live_on_grants(ledger: Ledger, boot: str, number: int) -> None:
    """Spend all that there is, again and again."""
    limits = [in_force("$0.0004/day", "member", CLEO), in_force("$0.002 total", "member", CLEO)]
    for turn in range(1_000_000):
        call = hold(*limits, person=CLEO, request_id=f"{boot}_cleo_{number}_{turn}")
        try:
            granted = await ledger.reserve(call)
        except RefusalError:
            await asyncio.sleep(0.003)
            continue
        await asyncio.sleep(0.001)
        ledger.settle(settlement(granted.request_id, granted.held))


async def grant_and_reset(ledger: Ledger, writer: Writer) -> None:
    """What staff do to her, so that what grants gave is fixed again and again."""

    def grant(transaction: Transaction) -> None:
        ledger.grant_in(
            transaction, [CLEO.member], OPERATOR, amount_nano=300_000, until_us=None, reason=None
        )

    def reset(transaction: Transaction) -> None:
        ledger.reset_in(transaction, [CLEO.scope("member")], OPERATOR, with_total=True)

    while True:
        for work in (grant, reset):
            await writer.transact(work)
            await asyncio.sleep(0.01)


async def main(folder: Path, boot: str) -> None:
    async with serving(folder, SystemClock(), boot=boot, groups=(GROUP, CLEO.group)) as (
        ledger,
        writer,
        _,
    ):
        say("ready")

        async def caller(number: int) -> None:
            person = ANNA if number % 2 else BEN
            limits = [in_force(text, "member", person) for text in LIMITS]
            limits.append(in_force("$0.03/day", "group", person))
            for turn in range(1_000_000):
                call = hold(
                    *limits, person=person, patience_s=5, request_id=f"{boot}_{number}_{turn}"
                )
                granted = await ledger.reserve(call)
                say(f"granted {granted.request_id} {granted.held.cost_nano}")
                await asyncio.sleep(0.001 * (number % 5))
                if turn % 4 == 3:
                    ledger.void(void(granted.request_id))
                else:
                    ledger.settle(settlement(granted.request_id, Amounts(cost_nano=turn % 100)))

        await asyncio.gather(
            *(caller(number) for number in range(36)),
            *(live_on_grants(ledger, boot, number) for number in range(4)),
            grant_and_reset(ledger, writer),
        )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
