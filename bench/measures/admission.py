"""What it costs to decide over one request and take its hold from all its limits, without the SQL of its batch."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.ledger_kit import Desk

from bench.cases import LIMITS, TUCKSHOP
from bench.figures import Figure
from bench.ledger_bench import holds_of
from bench.measures.run import Run
from tuckshop.domain.reservation import Granted
from tuckshop.ledger.admission import Admission
from tuckshop.ledger.books import Books
from tuckshop.ledger.waiting import WaitingRoom

BATCH: Final = 64
MEMBERS: Final = 50


def admission(run: Run) -> Iterator[Figure]:
    """CPU per call, by the number of its limits."""
    for limits in LIMITS:
        cost = statistics.median(
            admission_cost(run.sized(12_800), limits) for _ in range(run.rounds)
        )
        yield Figure(f"admission-{limits}", TUCKSHOP, cost)


def admission_cost(count: int, limits: int) -> float:
    """CPU µs of admitting one request that touches so many limits, the counters known to memory."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        books, room = Books(), WaitingRoom()
        admission = Admission(books, room, "boot_bench")
        holds = holds_of(count + BATCH, MEMBERS, limits)
        used_s = 0.0
        for start in range(0, len(holds), BATCH):
            desk.clock.advance(0.001 * BATCH)
            desk.session.begin(desk.clock.now_us())
            books.begin(desk.session.transaction)
            began_s = time.process_time()
            for ticket, hold in enumerate(holds[start : start + BATCH]):
                answer = admission.attempt(hold, ticket=start + ticket, waited_s=0.0)
                assert isinstance(answer, Granted), answer
            if start:  # the first batch reads the counters
                used_s += time.process_time() - began_s
            books.flush()
            desk.session.commit()
        desk.close()
    return used_s / count * 1e6
