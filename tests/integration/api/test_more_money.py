"""Resets and grants by staff are judged by the group as it is in the transaction that makes them (K6)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from tests.integration.api.conftest import Counter
from tuckshop.storage.schema import entries, groups
from tuckshop.storage.transaction import Transaction

pytestmark = pytest.mark.anyio


async def lift_shared_limits(counter: Counter) -> None:
    """As by another change that commits meanwhile: the row says so, the directory not yet."""

    def work(transaction: Transaction) -> None:
        transaction.connection.execute(update(groups).values(shared_limits="[]"))

    await counter.writer.transact(work)


def entries_made(counter: Counter) -> int:
    with counter.database.reader() as connection:
        return len(connection.execute(select(entries.c.id)).all())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/members/{member}/grants", {"amount_usd": 1}),
        ("/groups/swa/grants", {"amount_usd": 1}),
        ("/members/{member}/reset", None),
        ("/groups/swa/reset", {"what": "each"}),
        ("/members/bulk", {"action": "reset", "filter": {"group": "swa"}}),
    ],
)
async def test_a_bound_that_is_lifted_meanwhile_bounds_nothing(
    counter: Counter, path: str, body: Any
) -> None:
    """K6."""
    await counter.group(each=["$1/month"], shared=["$50/month"])
    member = await counter.member()
    staff = await counter.staff("owner", "swa")
    path = "/api/v1" + path.format(member=member["id"])
    allowed = await staff.post(path, body)
    assert allowed.status in (200, 201), allowed.body
    before = entries_made(counter)

    await lift_shared_limits(counter)
    refused = await staff.post(path, body)

    assert refused.status == 403, refused.body
    assert "no shared limit on all money" in refused.json["detail"]
    assert entries_made(counter) == before
