"""
What the ledger costs: CPU per reserve and settle, on a real file, without the writer's thread.

    python bench/ledger_bench.py [--count 20000] [--batch 1 16 64] [--profile]

Prints µs of CPU per call (reserve + settle), apart for engine and SQL, and with --profile where they go.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import msgspec
from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, Person, hold, in_force, settlement

from tuckshop.domain.reservation import Amounts, Hold
from tuckshop.ledger.admission import Admission
from tuckshop.ledger.arithmetic import SLOT_OF, Standing, decide
from tuckshop.ledger.waiting import WaitingRoom

LIMITS = (
    ("key", "1000000 requests/minute"),
    ("member", "$100/month"),
    ("member", "1000000 requests/minute"),
    ("member", "100000000 tokens/minute"),
    ("member", "100000 concurrent requests"),
    ("group", "$10000/month"),
    ("group", "100000000 requests/day"),
    ("workspace", "$100000/month"),
)
MORE_LIMITS = tuple(
    (kind, f"1000000000 {metric}/{minutes} minutes")
    for minutes in (2, 5, 10, 30)
    for metric in ("requests", "tokens")
    for kind in ("key", "member", "group")
)


def holds_of(count: int, members: int, limits_each: int = 8) -> list[Hold]:
    """Calls of *members*, in turn, each against so many limits; beyond eight on windows of other lengths."""
    chosen = (*LIMITS, *MORE_LIMITS)[:limits_each]
    assert len(chosen) == limits_each
    people = [Person(f"key_{number}", f"mem_{number}") for number in range(members)]
    limits = {p: tuple(in_force(text, kind, p) for kind, text in chosen) for p in people}
    calls = {p: hold(*limits[p], person=p) for p in people}
    # As a policy does it: call after call gets the very same tuple of limits.
    return [
        msgspec.structs.replace(calls[people[n % members]], request_id=f"req_{n:08}")
        for n in range(count)
    ]


def run(count: int, batch: int, members: int) -> tuple[float, float, float]:
    """CPU µs per call: in all, of reserving, of settling."""
    charged = Amounts(cost_nano=40_000, input_tokens=80, output_tokens=40)
    with tempfile.TemporaryDirectory() as folder:
        clock = FakeClock()
        desk = Desk(Path(folder), clock)
        holds = holds_of(count, members)
        reserving = settling = 0.0
        for start in range(0, count, batch):
            some = holds[start : start + batch]
            clock.advance(0.001 * batch)
            began = time.process_time()
            desk.do(*some)
            middle = time.process_time()
            desk.do(*(settlement(call.request_id, charged) for call in some))
            reserving += middle - began
            settling += time.process_time() - middle
            if start % 4096 < batch:
                desk.session.checkpoint()
        desk.close()
    return (
        1e6 * (reserving + settling) / count,
        1e6 * reserving / count,
        1e6 * settling / count,
    )


def decide_cost(count: int) -> float:
    """CPU µs of the pure decision over eight limits."""
    call = holds_of(1, 1)[0]
    standings = [Standing(limit, SLOT_OF[limit.limit.metric], 1000, 1000) for limit in call.limits]
    began = time.process_time()
    for _ in range(count):
        decide(call, standings)
    return 1e6 * (time.process_time() - began) / count


def admission_cost(count: int = 500, rounds: int = 20) -> tuple[float, float]:
    """(µs of admitting a call in memory, µs of its SQL in a large batch), the best of some rounds."""
    holds = holds_of(100 + count * rounds, 50)
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        desk.do(*holds[:100])
        desk.session.begin(desk.clock.now_us())
        desk.engine.begin(desk.session.transaction)
        admission = Admission(desk.engine.books, WaitingRoom(), "boot_1")
        admitting, writing = [], []
        for start in range(100, len(holds), count):
            began = time.process_time()
            for call in holds[start : start + count]:
                admission.attempt(call, ticket=1, waited_s=0.0)
            middle = time.process_time()
            desk.engine.books.flush()
            admitting.append(middle - began)
            writing.append(time.process_time() - middle)
        desk.session.roll_back()
        desk.close()
    return 1e6 * min(admitting) / count, 1e6 * min(writing) / count


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    print(f"decide, eight limits: {decide_cost(50_000):.1f} µs")
    admitting, writing = admission_cost()
    print(
        f"admission of one call, eight limits: {admitting:.1f} µs in memory, {writing:.1f} µs of SQL"
    )
    for batch in arguments.batch:
        profile = cProfile.Profile()
        if arguments.profile:
            profile.enable()
        total, reserving, settling = run(arguments.count, batch, arguments.members)
        profile.disable()
        print(
            f"batches of {batch:3}: {total:6.1f} µs per call"
            f" (reserve {reserving:.1f}, settle {settling:.1f}), commit included"
        )
        if arguments.profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(22)


if __name__ == "__main__":
    main()
