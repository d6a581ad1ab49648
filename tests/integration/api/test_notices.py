"""What is found beside the calls, over a real ledger: budgets, revoked keys, upstreams, unusual spend, alarms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, select

from tests.integration.api.conftest import Counter
from tests.integration.api.test_grants import spend
from tests.integration.api.test_log_and_usage import bucket, put
from tests.integration.api.test_webhooks import add
from tests.support.ledger_kit import CENT
from tuckshop.domain.reservation import RefusedRow
from tuckshop.services.notices.budgets import percent_reached
from tuckshop.services.notices.notifier import WATCH_S
from tuckshop.services.notices.payload import facts_of
from tuckshop.services.notices.spending import HOUR_US
from tuckshop.storage.schema import notices, usage_buckets
from tuckshop.upstreams.circuit import REFUSALS_MIN

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0
NOWHERE = "https://localhost:1/"  # which is not dialled


async def look(counter: Counter) -> list[dict[str, Any]]:
    """What was found since the last look."""
    await counter.ledger.flush()
    before = {row["id"] for row in rows(counter)}
    counter.clock.advance(WATCH_S)
    await counter.services.notifier.step()
    return [row for row in rows(counter) if row["id"] not in before]


def rows(counter: Counter) -> list[dict[str, Any]]:
    with counter.database.reader() as connection:
        found = connection.execute(select(notices).order_by(notices.c.id)).mappings()
        return [{**row, "facts": facts_of(dict(row))} for row in found]


def told(found: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return sorted((one["kind"], one["facts"]["percent"], one["facts"]["limit"]) for one in found)


async def refuse(counter: Counter, member: dict[str, Any], key: str, error: str) -> None:
    number = counter.clock.now_us()
    counter.ledger.refuse(
        RefusedRow(
            request_id=f"req_{number}_{error}",
            workspace_id=counter.services.directory.workspace.id,
            group_id=member["group"],
            member_id=member["id"],
            key_id=key,
            endpoint="chat.completions",
            model="",
            error=error,
            http_status=429,
        )
    )
    await counter.ledger.flush()


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("used", "amount", "is_refused", "percent"),
    [
        (0, 100, False, None),
        (79, 100, False, None),
        (80, 100, False, 80),
        (99, 100, False, 80),
        (100, 100, False, 100),
        (130, 100, False, 100),
        (89, 100, True, 80),
        (90, 100, True, 100),
        (10, 100, True, None),
    ],
)
async def test_which_threshold_is_reached(
    used: int, amount: int, is_refused: bool, percent: int | None
) -> None:
    assert percent_reached(used, amount, (80, 100), is_refused=is_refused) == percent


async def test_a_member_is_told_of_once_per_threshold_and_window(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"])
    member = await counter.member()
    await add(counter, NOWHERE, kinds=["member_budget"])

    await spend(counter, member, 15)
    assert await look(counter) == []
    await spend(counter, member, 1)
    (at_80,) = await look(counter)
    await spend(counter, member, 1)
    assert await look(counter) == []
    await spend(counter, member, 3)
    (at_100,) = await look(counter)
    assert await look(counter) == []

    assert (at_80["group_id"], at_80["member_id"]) == (member["group"], member["id"])
    assert at_80["facts"] == {
        "limit": "$0.20/month",
        "percent": 80,
        "used_usd": Decimal("0.16"),
        "amount_usd": Decimal("0.2"),
        "resets_at": "2026-12-01T00:00:00Z",
    }
    assert (at_100["facts"]["percent"], at_100["facts"]["used_usd"]) == (100, Decimal("0.2"))

    counter.clock.advance(8 * DAY_S)  # the window is another
    await spend(counter, member, 17)
    (again,) = await look(counter)
    assert (again["facts"]["percent"], again["facts"]["resets_at"]) == (80, "2027-01-01T00:00:00Z")


async def test_the_next_server_tells_nothing_twice(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"])
    member = await counter.member()
    await add(counter, NOWHERE)
    await spend(counter, member, 17)
    assert len(await look(counter)) == 1

    budgets = counter.services.notifier._watching._budgets
    budgets._told.clear()
    budgets._spent.clear()  # as a start finds it

    assert await look(counter) == []


async def test_a_grant_counts_in_and_what_it_changed_is_told_anew(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"])
    member = await counter.member()
    await add(counter, NOWHERE, kinds=["member_budget"])
    grant = {"amount_usd": 0.2, "until": "2026-12-31"}
    await counter.admin.post(f"/api/v1/members/{member['id']}/grants", grant)

    await spend(counter, member, 20)
    assert await look(counter) == []  # half of what may be spent
    await spend(counter, member, 12)
    (at_80,) = await look(counter)
    assert at_80["facts"]["amount_usd"] == Decimal("0.4")

    await counter.admin.post(f"/api/v1/members/{member['id']}/grants", {"amount_usd": 0.6})
    await spend(counter, member, 1)
    assert await look(counter) == []
    await spend(counter, member, 50)
    (anew,) = await look(counter)
    assert (anew["facts"]["percent"], anew["facts"]["amount_usd"]) == (80, Decimal(1))


async def test_shared_budgets_of_a_group_and_of_all(counter: Counter) -> None:
    await counter.group(shared=["$0.40/month"])
    await counter.admin.patch("/api/v1/workspace", {"limits": ["$1/month"]})
    ada, bob = [await counter.member(external_id=name) for name in ("ada", "bob")]
    await add(counter, NOWHERE, kinds=["shared_budget"])

    found = []
    for member, cents in ((ada, 19), (bob, 1), (ada, 12), (bob, 8)):
        await spend(counter, member, cents)
        found.append(told(await look(counter)))
    shared = rows(counter)

    month = "$0.40/month"
    assert found == [
        [],
        [("shared_budget", 50, month)],
        [("shared_budget", 80, month)],
        [("shared_budget", 100, month)],
    ]
    assert {row["member_id"] for row in shared} == {None}
    assert {row["group_id"] for row in shared} == {ada["group"]}
    await counter.group(name="other")
    other = await counter.member("other")
    await spend(counter, other, 10)
    (of_all,) = await look(counter)
    assert (of_all["group_id"], of_all["facts"]["percent"], of_all["facts"]["limit"]) == (
        None,
        50,
        "$1/month",
    )


async def test_used_up_is_also_where_the_rest_is_too_little_for_a_call(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"], shared=["$0.205/month"])
    member = await counter.member()
    await add(counter, NOWHERE, kinds=["member_budget", "shared_budget"])
    await spend(counter, member, 19)
    assert told(await look(counter)) == [
        ("member_budget", 80, "$0.20/month"),
        ("shared_budget", 80, "$0.205/month"),
    ]

    await refuse(counter, member, "key_1", "insufficient_quota")

    # What the member has was the reason; what all have may last for others.
    assert told(await look(counter)) == [("member_budget", 100, "$0.20/month")]
    assert await look(counter) == []


async def test_a_rolling_budget_is_told_of_once_within_its_length(counter: Counter) -> None:
    await counter.group(each=["$0.20/5 hours"])
    member = await counter.member()
    await add(counter, NOWHERE)

    await spend(counter, member, 17)
    assert told(await look(counter)) == [("member_budget", 80, "$0.20/5 hours")]
    counter.clock.advance(11 * 3_600)
    await spend(counter, member, 17)
    assert told(await look(counter)) == [("member_budget", 80, "$0.20/5 hours")]


# ── the others ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_revoked_key_is_told_of_once_a_day_and_an_unknown_one_never(
    counter: Counter,
) -> None:
    """K15: what a known key is refused stands in the log; the rest leaves no trace to look at."""
    await counter.group()
    member = await counter.member()
    key = await counter.key(member["id"])
    await refuse(counter, member, key["id"], "key_revoked")  # before anybody wanted to know
    counter.clock.advance(1)
    await add(counter, NOWHERE, kinds=["revoked_key_used"])
    assert await look(counter) == []

    for _ in range(3):
        await refuse(counter, member, key["id"], "key_revoked")
        counter.clock.advance(2)
    await refuse(counter, member, key["id"], "rate_limit_exceeded")
    (found,) = await look(counter)
    await refuse(counter, member, key["id"], "key_revoked")
    assert await look(counter) == []
    counter.clock.advance(DAY_S)
    await refuse(counter, member, key["id"], "key_revoked")
    (tomorrow,) = await look(counter)

    assert {found["kind"], tomorrow["kind"]} == {"revoked_key_used"}
    assert (found["key_id"], found["member_id"]) == (key["id"], member["id"])
    assert found["facts"] == {}


async def test_an_upstream_that_refuses_us_is_told_of(counter: Counter) -> None:
    for name in ("first", "second"):
        body = {"name": name, "credential": "sk-upstream-0123456789"}
        await counter.admin.post("/api/v1/upstreams", body)
    await add(counter, NOWHERE, kinds=["upstream_refused"])
    first, second = counter.registry.get("first"), counter.registry.get("second")
    assert first is not None
    assert second is not None

    first.circuit.refused(0)
    assert await look(counter) == []  # one refused credential proves little
    for _ in range(REFUSALS_MIN):
        first.circuit.refused(0)
    second.circuit.refused(0, "money")
    found = await look(counter)
    again = await look(counter)
    first.circuit.answered()
    await look(counter)
    for _ in range(REFUSALS_MIN):
        first.circuit.refused(0)

    assert {one["facts"]["upstream"]: one["facts"]["reason"] for one in found} == {
        "first": "credential",
        "second": "money",
    }
    assert again == []
    assert await look(counter) == []  # within six hours


async def test_alarms_are_told_of_once_in_six_hours(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = {"overrun": 0, "upstream_auth": 0}
    monkeypatch.setattr(counter.services.notifier._watching, "_alarms", lambda: raised)
    await add(counter, NOWHERE, kinds=["alarm"])
    found = []
    for count in (0, 2, 3):
        raised.update(overrun=count, upstream_auth=count)
        found.append([one["facts"] for one in await look(counter)])
    counter.clock.advance(6 * 3_600)
    raised.update(overrun=5)

    (later,) = await look(counter)

    assert found == [[], [{"alarm": "overrun", "count": 2}], []]
    assert later["facts"] == {"alarm": "overrun", "count": 2}


async def test_a_key_that_spends_far_more_than_it_used_to(counter: Counter) -> None:
    now_us = counter.clock.now_us()
    hour_us = now_us - now_us % HOUR_US

    def spent(key: str, ago: int, cents: int) -> dict[str, Any]:
        at = {"bucket": hour_us - ago * HOUR_US, "key_id": key, "cost": cents * CENT}
        return bucket(0, **at)

    past = [24, 48, 72, 100]
    await put(
        counter,
        usage_buckets,
        [
            *(spent("key_steady", ago, 2) for ago in past),
            *(spent("key_burst", ago, 2) for ago in past),
            *(spent("key_young", ago, 2) for ago in past[:2]),
            *(spent("key_cheap", ago, 0) for ago in past),
            spent("key_steady", 0, 9),
            spent("key_burst", 0, 10),
            spent("key_young", 0, 100),
            spent("key_cheap", 0, 4),
            *(spent("key_old", 15 * 24 + ago, 1) for ago in past),
            spent("key_old", 0, 100),
        ],
    )
    await add(counter, NOWHERE, kinds=["unusual_spend"])

    (found,) = await look(counter)

    assert (found["kind"], found["key_id"]) == ("unusual_spend", "key_burst")
    assert found["facts"] == {
        "hour": "2026-11-24T06:00:00Z",
        "spent_usd": Decimal("0.1"),
        "usual_usd": Decimal("0.02"),
    }
    counter.clock.advance(120)
    assert await look(counter) == []


async def test_while_nobody_is_to_be_told_nothing_is_read_or_written(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off: not one statement."""
    await counter.group(each=["$0.20/month"])
    member = await counter.member()
    await spend(counter, member, 20)
    await look(counter)  # forgets what is old, once an hour
    seen: list[str] = []

    def noted(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(counter.database._readers, "before_cursor_execute", noted)
    monkeypatch.setattr(counter.writer, "transact", None)
    for _ in range(3):
        counter.clock.advance(WATCH_S)
        await counter.services.notifier.step()

    assert seen == []
