"""P9: what is older than its group's `log_days` is folded, and no sum that staff see is another one afterwards."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_corrections import BOUND, Caller, caller
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.verify import verify_folder

pytestmark = pytest.mark.anyio

DAY_S = 86_400


async def live(one: Caller, days: int, every: int = 9) -> list[str]:
    """Call now and then; every fourth call is guessed, every sixth corrected on the day after."""
    made: list[str] = []
    for day in range(days):
        one.counter.clock.advance(DAY_S)
        await one.counter.writer.transact(lambda transaction: None)  # the day's closing
        if day % every == 1 and made and len(made) % 6 == 0:
            await one.counter.ledger.correct(
                made[-1],
                Amounts(cost_nano=70_000, input_tokens=90, output_tokens=100),
                actor=OPERATOR,
                reason="bill",
            )
        if day % every == 0:
            made.append(await (one.call("unconfirmed") if len(made) % 4 == 0 else one.call()))
    return made


async def shown(counter: Counter, months: tuple[str, ...]) -> list[Any]:
    """What staff see of the past."""
    found = []
    for path, asked in (
        ("usage", {"by": "member,key,model,endpoint", "since": "2026-01-01"}),
        ("usage", {"by": "month,group", "since": "2026-01-01"}),
        *(("groups/swa/statement", {"month": month}) for month in months),
        ("keys", {}),
    ):
        answer = await counter.admin.get(f"/api/v1/{path}", **asked)
        assert answer.status == 200, answer.body
        found.append({**answer.json, "made_at": None, "corrections": None})
    return found


async def test_five_hundred_days_are_folded_and_every_report_stays(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """P9, M7, M8."""
    one = await caller(counter)
    made = await live(one, 500)
    await counter.ledger.flush()
    months = ("2026-12", "2027-01", "2028-03")
    before = await shown(counter, months)
    assert before[2]["total"]["guessed_requests"] > 0
    used = await one.used_nano()

    with caplog.at_level(logging.INFO):
        folded = await counter.services.log_folding.sweep()

    assert 8 < folded < 14  # of 56: those of the first hundred days
    assert f"folded {folded} old rows" in caplog.text
    assert await counter.services.log_folding.sweep() == 0
    assert await shown(counter, months) == before
    assert await one.used_nano() == used
    log = await counter.admin.get("/api/v1/requests", limit=100)
    assert [row["id"] for row in log.json["data"]] == made[: folded - 1 : -1]
    for full in (True, False):
        assert verify_folder(counter.database.path, full=full).differences == []
    gone = await counter.admin.get(f"/api/v1/requests/{made[0]}")
    assert gone.status == 404
    refused = await counter.admin.post(
        f"/api/v1/requests/{made[0]}/correct", {"cost_usd": "0", "reason": "late"}
    )
    assert refused.status == 404
    assert await one.used_nano() == used


async def test_log_days_is_the_groups(counter: Counter) -> None:
    """P9: at least 70 days; fewer than before fold more; the operator's alone, since nobody gets rows back."""
    one = await caller(counter)
    await live(one, 200)
    assert await counter.services.log_folding.sweep() == 0
    path = "/api/v1/groups/swa"
    for wrong in (69, 3661, "400", 0):
        answer = await counter.admin.patch(path, {"log_days": wrong})
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "log_days")
    owner = await counter.staff("owner")
    assert (await owner.patch(path, {"log_days": 100})).status == 403

    assert (await counter.admin.patch(path, {"log_days": 100})).json["log_days"] == 100

    assert await counter.services.log_folding.sweep() == 11
    assert (await counter.admin.patch(path, {"log_days": None})).json["log_days"] == 400


async def test_a_group_is_folded_by_the_hour_a_bounded_number_at_once(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9, D6: short transactions with pauses between them; the rest waits for the next hour."""
    one = await caller(counter)
    await live(one, 120, every=2)
    await counter.admin.patch("/api/v1/groups/swa", {"log_days": 70})
    monkeypatch.setattr("tuckshop.ledger.folding.fold.__kwdefaults__", {"most": 10})
    monkeypatch.setattr("tuckshop.ledger.folding.BATCH_ROWS", 10)
    folding = counter.services.log_folding

    assert await folding.sweep(rows_max=20) == 20
    folding.look()
    await folding.close()

    assert len((await counter.admin.get("/api/v1/requests", limit=100)).json["data"]) == 40
    assert BOUND.cost_nano * 60 - await one.used_nano() >= 0
