"""What it costs to decide over one request and take its hold from eight limits, without the SQL of its batch."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from tests.support.ledger_kit import Desk

from bench.ledger_bench import holds_of
from tuckshop.domain.reservation import Granted
from tuckshop.ledger.admission import Admission
from tuckshop.ledger.books import Books
from tuckshop.ledger.waiting import WaitingRoom

BATCH: Final = 64
MEMBERS: Final = 50


def admission_cost(count: int = 12_800) -> float:
    """CPU µs of admitting one request that touches eight limits, the counters known to memory."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        books, room = Books(), WaitingRoom()
        admission = Admission(books, room, "boot_bench")
        holds = holds_of(count + BATCH, MEMBERS)
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
