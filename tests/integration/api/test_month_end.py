"""Statements and forecasts of a group by the admin API, over rows put there by hand."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from html import escape
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_log_and_usage import HOUR_US, MIDNIGHT_US, bucket, put, row
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.storage.schema import entries, requests, usage_buckets

pytestmark = pytest.mark.anyio

HOSTILE = "<script>alert('x')</script>&\"=1+1"


def entry(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "workspace_id": DEFAULT_WORKSPACE, "id": f"ent_{number}", "position": 5_000 + number,
        "at": MIDNIGHT_US,
        "kind": "correction", "request_id": None, "scope_kind": None, "scope_id": None, "cost": None,
        "input_tokens": 0, "output_tokens": 0, "actor": "operator", "reason": None, **fields,
    }  # fmt: skip


async def a_month(counter: Counter) -> dict[str, Any]:
    """Two members who called in November, one call guessed and corrected, one in December of Berlin."""
    made = await counter.group(title=HOSTILE, time_zone="Europe/Berlin")
    anna = await counter.member(name=HOSTILE)
    ben = await counter.member(external_id="4712", name="Ben")
    in_swa = {"group_id": made["id"], "member_id": anna["id"]}
    december = 10 * 24 + 23.25  # 30 November, 23:15 UTC
    await put(
        counter,
        usage_buckets,
        [
            bucket(1, **in_swa, cost=1_000_000_007),
            bucket(2, **in_swa, model="gpt-4o", cost=2_000_000_000),
            bucket(3, **(in_swa | {"member_id": ben["id"]}), cost=3_000_000_000),
            bucket(december, **in_swa, cost=9_000_000_000),
            bucket(3, cost=77),  # another group
        ],
    )
    await put(
        counter,
        requests,
        [
            row(1, **in_swa, flags="unconfirmed", cost=1_500_000_007),
            row(2, **in_swa, flags="client_left", cost=2_000_000_000),
        ],
    )
    await put(
        counter,
        entries,
        [
            entry(1, request_id="req_1", cost=-500_000_000, reason="bill of <b>24</b>"),
            entry(2, kind="grant", scope_kind="member", scope_id=anna["id"], cost=500_000_000, reason="project week"),
        ],
    )  # fmt: skip
    return anna


async def test_a_statement_sums_up_the_month_of_the_groups_zone(counter: Counter) -> None:
    """Its sums agree with the usage report to the nano-dollar."""
    anna = await a_month(counter)
    start, end = "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"

    found = (await counter.admin.get("/api/v1/groups/swa/statement", month="2026-11")).json

    assert (found["month"], found["time_zone"]) == ("2026-11", "Europe/Berlin")
    assert (found["since"], found["until"], found["is_over"]) == (start, end, False)
    assert [line["external_id"] for line in found["data"]] == ["4711", "4712"]
    assert found["data"][0]["cost_usd"] == Decimal("3.000000007")
    assert found["data"][0]["guessed_usd"] == Decimal("1.000000007")
    assert found["total"]["cost_usd"] == Decimal("6.000000007")
    assert (found["total"]["guessed_requests"], found["total"]["requests"]) == (1, 3)
    assert [line["model"] for line in found["models"]] == ["gpt-4o", "gpt-4o-mini"]
    (grant,), (correction,) = found["grants"], found["corrections"]
    assert (grant["member"], grant["amount_usd"]) == (anna["id"], Decimal("0.5"))
    assert (correction["request"], correction["cost_usd"]) == ("req_1", Decimal("-0.5"))
    assert (grant["name"], correction["name"]) == (HOSTILE, HOSTILE)
    for by in ("member", "model"):
        usage = (
            await counter.admin.get(
                "/api/v1/usage",
                by=by,
                group="swa",
                since=start,
                until=end,
                time_zone="Europe/Berlin",
            )
        ).json["data"]
        lines = found["data"] if by == "member" else found["models"]
        counts = ("requests", "input_tokens", "output_tokens", "cached_tokens", "cost_usd")
        assert {r[by]: [r[c] for c in counts] for r in usage} == {
            line[by]: [line[c] for c in counts] for line in lines
        }


async def test_a_statement_as_a_page_runs_nothing_and_shows_names_as_text(counter: Counter) -> None:
    """K13."""
    anna = await a_month(counter)

    answer = await counter.admin.send(
        "GET",
        "/api/v1/groups/swa/statement",
        query={"month": "2026-11"},
        headers={"accept": "text/html"},
    )

    text = answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in text
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;=1+1" in text
    assert "bill of &lt;b&gt;24&lt;/b&gt;" in text
    assert not re.search(r"(src|href)=|url\(|@import|\son[a-z]+=", text)
    assert "$6.000000007" in text
    assert "Not final" in text
    assert anna["id"] not in text
    assert not re.search(r"[0-9]T[0-9:]+Z", text), "times are those of the group's clocks"
    assert f"4711 {escape(HOSTILE)}" in text


async def test_grants_to_many_are_one_line_of_the_page(counter: Counter) -> None:
    await counter.group(each=["$1/month"], time_zone="Europe/Berlin")
    for n in range(3):
        await counter.member(external_id=f"{n}")
    granted = {"amount_usd": 0.5, "until": "2026-12-31", "reason": "project week"}
    await counter.admin.post("/api/v1/groups/swa/grants", granted)

    answer = await counter.admin.send(
        "GET", "/api/v1/groups/swa/statement", headers={"accept": "text/html"}
    )

    text = answer.body.decode()
    assert text.count("project week") == 1
    assert "<td>3 members</td><td>2027-01-01 00:00</td>" in text


async def test_a_statement_as_a_table_guards_its_cells(counter: Counter) -> None:
    await counter.group()
    member = await counter.member(name="=1+1")
    await put(counter, usage_buckets, [bucket(1, group_id=member["group"], member_id=member["id"])])

    answer = await counter.admin.send(
        "GET",
        "/api/v1/groups/swa/statement",
        query={"month": "2026-11"},
        headers={"accept": "text/csv"},
    )

    (line,) = csv.DictReader(io.StringIO(answer.body.decode()))
    assert (line["external_id"], line["name"], line["cost_usd"]) == ("4711", "'=1+1", "0.25")
    assert 'filename="swa-2026-11.csv"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "month",
    ["2026-13", "2026", "november", "0000-01", "0001-01", "2027-01", "9999-12", "2026-1"],
)
async def test_a_month_that_is_none_or_has_not_begun_is_refused(
    counter: Counter, month: str
) -> None:
    await counter.group()

    answer = await counter.admin.get("/api/v1/groups/swa/statement", month=month)

    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "month")


async def test_a_month_in_which_nobody_called_is_an_empty_statement(counter: Counter) -> None:
    await counter.group()

    found = (await counter.admin.get("/api/v1/groups/swa/statement", month="2026-01")).json

    assert (found["data"], found["total"]["cost_usd"], found["is_over"]) == ([], 0, True)


async def test_a_forecast_tells_when_the_shared_budget_ends(counter: Counter) -> None:
    group = await counter.group()
    now_us = counter.clock.now_us()
    days_ago = (now_us - MIDNIGHT_US) / HOUR_US
    own = {"group_id": group["id"]}
    await put(
        counter,
        requests,
        [row(1, **own, admitted_at=now_us - 4 * 24 * HOUR_US, cost=44 * 10**9)],
    )
    await put(counter, usage_buckets, [bucket(int(days_ago) - 48, **own, cost=44 * 10**9)])
    shared = ["$50/month", "$100 total", "20 requests/minute", "$5/month on gpt-4o"]
    await counter.admin.patch("/api/v1/groups/swa", {"shared": shared})

    month, total = (await counter.admin.get("/api/v1/groups/swa/forecast")).json["data"]

    assert (month["limit"], month["scope"], month["used_usd"]) == ("$50/month", "group", 44)
    assert (month["per_day_usd"], month["outlook"]) == (11, "ends")
    assert (month["remaining_usd"], total["remaining_usd"]) == (6, 56)
    assert month["ends_at"] < month["renews_at"]
    assert "of the last 7 days ($11.00 a day) the $50/month of all ends on " in month["sentence"]
    assert (total["outlook"], total["renews_at"]) == ("ends", None)


async def test_without_calls_nothing_is_foretold(counter: Counter) -> None:
    await counter.group(shared=["$50/month"])

    (month,) = (await counter.admin.get("/api/v1/groups/swa/forecast")).json["data"]

    assert (month["outlook"], month["per_day_usd"], month["ends_at"]) == ("unknown", None, None)
