"""The benchmark's own parts that could tell something false: the load at a fixed rate, and the made-up past."""

from __future__ import annotations

import asyncio
import selectors
import time
from pathlib import Path

from bench import history
from bench.open_loop import BODY, Load
from sqlalchemy import insert

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import ANNA, Desk, hold, in_force, settlement
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.reservation import Amounts, Granted
from tuckshop.ledger.verify import verify_folder
from tuckshop.storage import schema

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
STALL_S = 0.4
ROWS = 1_000


class Stalling(asyncio.Protocol):
    """Answers at once; after a while everything stands still, once."""

    stall_at_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert data.endswith(BODY)
        if time.monotonic() > Stalling.stall_at_s:
            Stalling.stall_at_s = float("inf")
            time.sleep(STALL_S)
        self.transport.write(REPLY)


def test_calls_that_a_stall_kept_waiting_count_from_when_they_were_due() -> None:
    """A closed loop would see one slow call; of calls due each 10 ms, all that were due in the stall are slow."""

    async def run() -> Load:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Stalling, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        load = Load(f"http://127.0.0.1:{port}/v1", ["key"], [], rate=100)
        Stalling.stall_at_s = time.monotonic() + 1.5
        await load.run(seconds=1.0)
        load.close()
        server.close()
        await server.wait_closed()
        return load

    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
    ) as runner:
        load = runner.run(run())

    assert load.failed == 0
    assert len(load.times_ms) == 100
    assert max(load.times_ms) >= STALL_S * 1000 * 0.9
    assert sum(ms > 50 for ms in load.times_ms) >= STALL_S * 100 * 0.7


def test_a_made_up_past_is_one_that_the_ledger_could_have_had(tmp_path: Path) -> None:
    """Every sum agrees with its rows (M8), before and after the ledger counts on from there."""
    clock = FakeClock()
    limits = [in_force("1000000 requests/month"), in_force("1000000 requests total", "group")]
    desk = Desk(tmp_path, clock)
    desk.session.begin(clock.now_us())
    desk.session.transaction.connection.execute(
        insert(schema.keys).values(
            workspace_id=DEFAULT_WORKSPACE, id=ANNA.key, group_id=ANNA.group, member_id=ANNA.member,
            digest=bytes(32), last4="0000", state="active", created_at=0,
        )
    )  # fmt: skip
    desk.session.commit()
    call = hold(*limits)
    desk.one(call)
    desk.one(settlement(call.request_id, Amounts(cost_nano=500, input_tokens=8, output_tokens=16)))
    ledger = desk.database.path
    desk.close()

    history.fill(ledger, ROWS)

    past = verify_folder(ledger, full=True)
    assert not past.differences
    assert past.requests == ROWS
    desk.reopen()
    ((settled,),) = desk.rows("SELECT count(*) FROM requests WHERE state = 'settled'")
    assert ROWS * 0.9 < settled < ROWS
    clock.advance(1)
    later = hold(*limits)
    assert isinstance(desk.one(later), Granted)
    desk.one(settlement(later.request_id, Amounts(cost_nano=500, input_tokens=8, output_tokens=16)))
    assert desk.state(limits[1]).used == settled + 1
    desk.close()
    assert not verify_folder(ledger, full=True).differences
