"""The worst case in money, as the admin API tells it of a group."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.integration.api.conftest import Counter

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
