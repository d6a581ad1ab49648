"""Run as a process of its own: reserves and settles without end, and says on stdout what it was told."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.support.ledger_kit import ANNA, BEN, hold, in_force, serving, settlement, void
from tuckshop.domain.reservation import Amounts
from tuckshop.system_clock import SystemClock

LIMITS = ("$0.02/day", "60 concurrent requests", "100000 requests/minute")


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def main(folder: Path, boot: str) -> None:
    async with serving(folder, SystemClock(), boot=boot) as (ledger, _, __):
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

        await asyncio.gather(*(caller(number) for number in range(40)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
