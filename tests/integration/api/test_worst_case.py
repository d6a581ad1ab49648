"""The worst case in money, as the admin API tells it of a group."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_grants import spend

pytestmark = pytest.mark.anyio


async def _worst_case(counter: Counter) -> dict[str, Any]:
    answer = await counter.admin.get("/api/v1/groups/swa")
    return dict(answer.json["worst_case"])


async def test_it_follows_members_and_limits(counter: Counter) -> None:
    made = await counter.admin.post(
        "/api/v1/groups",
        {
            "name": "swa",
            "time_zone": "Europe/Berlin",
            "each": ["$0.20/month"],
            "shared": ["$9 total"],
        },
    )
    assert made.json["worst_case"]["members"] == 0
    assert "one could spend at most $0.20 a month" in made.json["worst_case"]["sentence"]

    rows = [{"external_id": f"{n}"} for n in range(20)] + [
        {"external_id": "ta", "limits": ["$2/month"]}
    ]
    added = (await counter.admin.post("/api/v1/groups/swa/members", rows)).json["data"]
    one = await _worst_case(counter)
    assert one["members"] == 21
    assert [(bound["window"], bound["amount_usd"]) for bound in one["bounds"]] == [
        ("month", Decimal(6)),
        ("total", Decimal(9)),
    ]
    assert one["bounds"][0]["renews_at"].endswith("00:00Z")
    assert one["bounds"][1]["renews_at"] is None
    assert one["sentence"].startswith("21 members: at most $6.00 a month (renews 1 ")

    await counter.admin.delete(f"/api/v1/members/{added[-1]['id']}")
    assert (await _worst_case(counter))["sentence"].startswith("20 members: at most $4.00 a month")

    changed = await counter.admin.patch("/api/v1/groups/swa", {"each": None, "shared": None})
    assert changed.json["worst_case"]["bounds"] == []
    assert "without end" in changed.json["worst_case"]["sentence"]


async def test_open_grants_are_counted_in(counter: Counter) -> None:
    """M1: whatever is said at most is not passed by what was granted."""
    await counter.group(each=["$0.20/month", "$1/5 hours"], time_zone="Europe/Berlin")
    rows = [{"external_id": "4711"}, {"external_id": "ta", "limits": ["$2/month"]}]
    both = (await counter.admin.post("/api/v1/groups/swa/members", rows)).json["data"]
    ada, _ = both
    assert (await _worst_case(counter))["bounds"][-1]["amount_usd"] == Decimal("2.2")

    granted = {"amount_usd": 0.5, "until": "2026-12-31"}
    await counter.admin.post("/api/v1/groups/swa/grants", granted)

    one = await _worst_case(counter)
    month = one["bounds"][-1]
    assert (month["window"], month["amount_usd"]) == ("month", Decimal("3.2"))
    assert one["sentence"].endswith("open grants are counted in")
    listed = await counter.admin.get("/api/v1/groups")
    assert listed.json["data"][0]["worst_case"] == one

    await spend(counter, ada, 60)  # 40 cents of her grant
    counter.clock.advance(10 * 86_400)  # it is December
    await spend(counter, ada, 1)  # so it is fixed what November took
    assert (await _worst_case(counter))["bounds"][-1]["amount_usd"] == Decimal("2.8")

    counter.clock.advance(40 * 86_400)  # the grants are past
    after = await _worst_case(counter)
    assert after["bounds"][-1]["amount_usd"] == Decimal("2.2")
    assert "grants" not in after["sentence"]


async def test_what_members_share_holds_up_grants_too(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"], shared=["$0.50/month"])
    await counter.member()
    await counter.admin.post("/api/v1/groups/swa/grants", {"amount_usd": 9})

    assert (await _worst_case(counter))["bounds"][0]["amount_usd"] == Decimal("0.5")
