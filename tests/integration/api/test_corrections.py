"""M7: calls that were charged their bound are corrected in bulk, by one amount, once, after a dry run."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.support.ledger_kit import Person, hold, in_force
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.reservation import Amounts, Flag, Outcome, Settlement
from tuckshop.ledger.verify import verify_folder
from tuckshop.services import corrections

pytestmark = pytest.mark.anyio

LIMIT = "$5/month"
BOUND = Amounts(cost_nano=75_000, input_tokens=100, output_tokens=100)  # of `hold()`


class Caller:
    """A member whose calls end as told."""

    def __init__(self, counter: Counter, person: Person) -> None:
        self.counter = counter
        self.person = person
        self.limit = in_force(LIMIT, "member", person)

    async def call(self, *flags: Flag) -> str:
        ledger = self.counter.ledger
        version = await self.counter.writer.transact(lambda t: t.directory_version())
        granted = await ledger.reserve(hold(self.limit, person=self.person, version=version))
        assert granted.held == BOUND
        ledger.settle(
            Settlement(
                request_id=granted.request_id,
                charged=granted.held,
                cached_tokens=0,
                outcome=Outcome(http_status=None),
                flags=frozenset(flags),
            )
        )
        return granted.request_id

    async def used_nano(self) -> int:
        (state,) = await self.counter.ledger.states([self.limit])
        return state.used


async def caller(counter: Counter, group: str = "swa") -> Caller:
    made = await counter.group(name=group)
    member = await counter.member(group)
    key = await counter.key(member["id"])
    return Caller(counter, Person(key["id"], member["id"], made["id"]))


def wish(**more: Any) -> dict[str, Any]:
    return {"unconfirmed": True, "since": "2026-01-01", "to_usd": 0, "reason": "a crash", **more}


async def post(counter: Counter, *, status: int = 200, **more: Any) -> Any:
    answer = await counter.admin.post("/api/v1/corrections", wish(**more))
    assert answer.status == status, answer.body
    return answer.json


def check(counter: Counter) -> None:
    """M8, by the rows alone."""
    report = verify_folder(counter.database.path, full=True)
    assert [str(difference) for difference in report.differences] == []


async def test_a_dry_run_tells_and_changes_nothing(counter: Counter) -> None:
    anna = await caller(counter)
    first, second = await anna.call("unconfirmed"), await anna.call("clamped", "unconfirmed")
    await anna.call()
    await anna.call("estimated")

    told = await post(counter, to_usd="0.0001")

    assert (told["dry_run"], told["calls"]) == (True, 2)
    assert (told["charged_usd"], told["to_usd"]) == (Decimal("0.00015"), Decimal("0.0001"))
    assert [(row["request"], row["to_usd"]) for row in told["data"]] == [
        (first, Decimal("0.00005")),
        (second, Decimal("0.00005")),
    ]
    assert await anna.used_nano() == 4 * 75_000


async def test_what_was_charged_too_much_comes_back_once(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "CHUNK", 2)
    anna = await caller(counter)
    ids = [await anna.call("unconfirmed") for _ in range(5)]
    await anna.call()

    posted = await post(counter, to_usd="0.00025", dry_run=False, calls=5)

    assert (posted["dry_run"], posted["calls"]) == (False, 5)
    assert await anna.used_nano() == 250_000 + 75_000
    row = (await counter.admin.get(f"/api/v1/requests/{ids[0]}")).json
    assert row["cost_usd"] == Decimal("0.00005")
    assert row["flags"] == ["unconfirmed"]  # a closed row never changes
    assert (row["input_tokens"], row["output_tokens"]) == (67, 67)
    (sum_,) = (await counter.admin.get("/api/v1/usage")).json["data"]
    assert sum_["cost_usd"] == Decimal("0.000325")
    entries = await counter.writer.transact(
        lambda t: t.cursor.execute("SELECT request_id, actor, reason, kind FROM entries").fetchall()
    )
    assert sorted(entries) == sorted((id_, "operator", "a crash", "correction") for id_ in ids)
    audited = await counter.writer.transact(
        lambda t: t.cursor.execute(
            "SELECT count(*) FROM audit WHERE action = 'request.correct'"
        ).fetchone()[0]
    )
    assert audited == 3
    check(counter)

    again = await post(counter)
    assert again["calls"] == 0


async def test_nothing_is_what_it_costs_when_nothing_was_billed(counter: Counter) -> None:
    anna = await caller(counter)
    await anna.call("unconfirmed")

    await post(counter, to_usd=0, dry_run=False, calls=1)

    assert await anna.used_nano() == 0
    check(counter)


async def test_only_the_calls_of_that_group_and_time(counter: Counter) -> None:
    anna, ben = await caller(counter), await caller(counter, "other")
    await anna.call("unconfirmed")
    await ben.call("unconfirmed")
    counter.clock.advance(3_600)
    counter.writer.poke()
    late = await anna.call("unconfirmed")
    (row,) = [
        r for r in (await counter.admin.get("/api/v1/requests")).json["data"] if r["id"] == late
    ]

    assert (await post(counter))["calls"] == 3
    assert (await post(counter, group="swa"))["calls"] == 2
    assert (await post(counter, group="swa", until=row["at"]))["calls"] == 1
    assert [r["request"] for r in (await post(counter, since=row["at"]))["data"]] == [late]
    await post(counter, group="nosuch", status=404)


@pytest.mark.parametrize(
    ("more", "status", "word"),
    [
        ({"to_usd": -1}, 422, "to_usd"),
        ({"to_usd": "NaN"}, 422, "to_usd"),
        ({"to_usd": "1e999999"}, 422, "to_usd"),
        ({"to_usd": "1e-999999"}, 422, "to_usd"),
        ({"to_usd": "0.0000000001"}, 422, "nine decimals"),
        ({"to_usd": "0.000075001"}, 422, "more than the"),
        ({"reason": " "}, 422, "reason"),
        ({"since": "yesterday"}, 422, "since"),
        ({"unconfirmed": False}, 422, "unconfirmed"),
        ({"dry_run": False}, 422, "calls"),
        ({"dry_run": False, "calls": 2}, 409, "another dry run"),
        ({"extra": 1}, 422, "extra"),
    ],
)
async def test_what_cannot_be_taken_changes_nothing(
    counter: Counter, more: dict[str, Any], status: int, word: str
) -> None:
    anna = await caller(counter)
    await anna.call("unconfirmed")

    problem = await post(counter, status=status, **more)

    assert word in problem["detail"]
    assert await anna.used_nano() == 75_000


async def test_two_operators_at_once_correct_once(counter: Counter) -> None:
    """A race: of many at once, one is done and the others are told, or find nothing left."""
    anna = await caller(counter)
    for _ in range(3):
        await anna.call("unconfirmed")

    answers = await asyncio.gather(
        *(counter.admin.post("/api/v1/corrections", wish(dry_run=False, calls=3)) for _ in range(5))
    )

    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]
    assert await anna.used_nano() == 0
    check(counter)


async def test_a_part_that_fails_tells_what_is_left(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the rest, stated so, ends where the whole would have."""
    monkeypatch.setattr(corrections, "CHUNK", 1)
    anna = await caller(counter)
    ids = [await anna.call("unconfirmed") for _ in range(3)]
    make, done = counter.services.changes.make, [0]

    async def make_or_fail(actor: Any, work: Any) -> Any:
        done[0] += 1
        if done[0] == 2:
            raise ConflictError("the disk is full")
        return await make(actor, work)

    monkeypatch.setattr(counter.services.corrections._changes, "make", make_or_fail)
    problem = await post(counter, to_usd="0.00015", dry_run=False, calls=3, status=409)
    monkeypatch.undo()

    assert "1 of 3 corrections were posted" in problem["detail"]
    assert "to_usd 0.0001." in problem["detail"]
    rest = await post(counter, to_usd="0.0001", dry_run=False, calls=2)
    assert [row["request"] for row in rest["data"]] == ids[1:]
    assert await anna.used_nano() == 150_000
    check(counter)
