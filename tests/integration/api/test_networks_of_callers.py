"""P12: from which network a call came is told for two weeks, as a word to compare, and is forgotten then."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.integration.api.conftest import Counter
from tests.integration.api.test_corrections import Caller, caller
from tests.support.ledger_kit import hold
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.reservation import Outcome, RefusedRow, Void
from tuckshop.ledger import forgetting
from tuckshop.services import log_folding
from tuckshop.services.flag_retention import FlagRetention

pytestmark = pytest.mark.anyio

DAY_S = 86_400
HERE, THERE = b"\x01" * 8, b"\x02" * 8


async def call(one: Caller, network: bytes) -> str:
    version = await one.counter.writer.transact(lambda t: t.directory_version())
    asked = hold(one.limit, person=one.person, version=version)
    granted = await one.counter.ledger.reserve(replace(asked, network=network))
    one.counter.ledger.void(
        Void(request_id=granted.request_id, outcome=Outcome(http_status=None, error="no"))
    )
    return granted.request_id


def refused(one: Caller, request_id: str, network: bytes) -> RefusedRow:
    return RefusedRow(
        request_id=request_id,
        workspace_id=DEFAULT_WORKSPACE,
        group_id=one.person.group,
        member_id=one.person.member,
        key_id=one.person.key,
        endpoint="chat.completions",
        model="",
        error="model_not_allowed",
        http_status=403,
        network=network,
    )


async def shown(counter: Counter) -> dict[str, Any]:
    rows = (await counter.admin.get("/api/v1/requests")).json["data"]
    return {row["id"]: row["network"] for row in rows}


async def test_rows_of_calls_and_of_refusals_tell_whether_they_came_from_one_network(
    counter: Counter,
) -> None:
    one = await caller(counter)

    first, second, third = await call(one, HERE), await call(one, HERE), await call(one, THERE)
    counter.ledger.refuse(refused(one, "req_refused", HERE))

    told = await shown(counter)
    assert told[first] == told[second] == told["req_refused"]
    assert told[third] != told[first]


async def test_after_two_weeks_it_is_gone_from_the_rows_and_the_rows_stay(
    counter: Counter,
) -> None:
    one = await caller(counter)
    old = await call(one, HERE)
    counter.ledger.refuse(refused(one, "req_refused", HERE))
    await counter.ledger.flush()
    counter.clock.advance(DAY_S)
    young = await call(one, HERE)
    counter.clock.advance(13 * DAY_S - 60)
    await counter.services.log_folding.sweep()
    assert None not in (await shown(counter)).values()

    counter.clock.advance(120)
    await counter.services.log_folding.sweep()

    told = await shown(counter)
    assert (told[old], told["req_refused"]) == (None, None)
    assert told[young] is not None


async def test_it_is_forgotten_in_pieces_and_goes_on_where_it_was(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: short transactions. How far it came is kept with what was done, whoever goes on."""
    monkeypatch.setattr("tuckshop.ledger.forgetting.forget_networks.__kwdefaults__", {"most": 3})
    monkeypatch.setattr(forgetting, "BATCH_ROWS", 3)
    monkeypatch.setattr(log_folding, "FORGOTTEN_MAX", 6)
    one = await caller(counter)
    for _ in range(8):
        await call(one, HERE)
    counter.clock.advance(15 * DAY_S)

    await counter.services.log_folding.sweep()
    assert list((await shown(counter)).values()).count(None) == 6

    directory = counter.services.directory
    flags = FlagRetention(directory.workspace.id, counter.writer)
    again = log_folding.LogFolding(directory, counter.ledger, flags, counter.clock)
    await again.sweep()
    assert list((await shown(counter)).values()).count(None) == 8
