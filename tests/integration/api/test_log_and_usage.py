"""The request log, usage sums and prices by the admin API, over rows put there by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert

from tests.integration.api.conftest import Counter
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.services import tagged_calls
from tuckshop.services.changes import Edit
from tuckshop.storage.schema import entries, requests, usage_buckets

pytestmark = pytest.mark.anyio

HOUR_US = 3_600 * US_PER_SECOND
MIDNIGHT_US = 1_795_132_800 * US_PER_SECOND  # 2026-11-20T00:00:00Z


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "workspace_id": DEFAULT_WORKSPACE,
        "id": f"req_{number}",
        "position": 1_000 + number,
        "resolved_position": 2_000 + number,
        "admitted_at": MIDNIGHT_US + number * HOUR_US,
        "resolved_at": MIDNIGHT_US + number * HOUR_US + 1,
        "owner": "boot_1",
        "state": "settled",
        "group_id": "grp_1",
        "member_id": "mem_1",
        "key_id": "key_1",
        "endpoint": "chat.completions",
        "endpoint_group": "chat",
        "model": "gpt-4o-mini",
        "upstream": "openai",
        "upstream_request_id": "req_up",
        "held_cost": 10,
        "held_input_tokens": 1,
        "held_output_tokens": 1,
        "cost": 1_500,
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 2,
        "flags": "",
        "http_status": 200,
        "error": None,
        "first_byte_ms": 3,
        "duration_ms": 9,
        "queue_ms": 0,
        "tag": None,
        "repeats": 1,
        **fields,
    }


def bucket(hour: float, **fields: Any) -> dict[str, Any]:
    return {
        "workspace_id": DEFAULT_WORKSPACE,
        "bucket": MIDNIGHT_US + int(hour * HOUR_US),
        "group_id": "grp_1",
        "member_id": "mem_1",
        "key_id": "key_1",
        "model": "gpt-4o-mini",
        "endpoint": "chat.completions",
        "requests": 1,
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 2,
        "cost": 250_000_000,
        **fields,
    }


async def put(counter: Counter, table: Any, rows: list[dict[str, Any]]) -> None:
    def work(edit: Edit) -> None:
        edit.connection.execute(insert(table), rows)

    await counter.services.changes.make(OPERATOR, work)


async def test_a_row_is_shown_as_the_contract_says(counter: Counter) -> None:
    await put(counter, requests, [row(1, flags="clamped estimated", tag="hw-3")])

    (shown,) = (await counter.admin.get("/api/v1/requests")).json["data"]

    assert shown == {
        "id": "req_1",
        "at": "2026-11-20T01:00:00Z",
        "member": "mem_1",
        "key": "key_1",
        "group": "grp_1",
        "endpoint": "chat.completions",
        "model": "gpt-4o-mini",
        "status": "settled",
        "http_status": 200,
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 2,
        "cost_usd": Decimal("0.0000015"),
        "flags": ["clamped", "estimated"],
        "first_byte_ms": 3,
        "duration_ms": 9,
        "queue_ms": 0,
        "upstream": "openai",
        "upstream_request_id": "req_up",
        "tag": "hw-3",
        "repeats": 1,
        "error": None,
        "network": None,
    }
    assert (await counter.admin.get("/api/v1/requests/req_1")).json == shown
    assert (await counter.admin.get("/api/v1/requests/req_2")).status == 404


async def test_a_correction_shows_in_the_cost_of_its_request(counter: Counter) -> None:
    """M7: the row itself never changes."""
    await put(counter, requests, [row(1)])
    await put(
        counter,
        entries,
        [
            {
                "workspace_id": DEFAULT_WORKSPACE,
                "id": "ent_1",
                "position": 3_000,
                "at": MIDNIGHT_US,
                "kind": "correction",
                "request_id": "req_1",
                "cost": -500,
                "input_tokens": -1,
                "output_tokens": 0,
                "actor": "system",
            }
        ],
    )

    shown = (await counter.admin.get("/api/v1/requests/req_1")).json

    assert (shown["cost_usd"], shown["input_tokens"]) == (Decimal("0.000001"), 9)


async def test_what_still_runs_has_no_cost_yet_and_what_was_refused_cost_nothing(
    counter: Counter,
) -> None:
    empty = {"cost": None, "input_tokens": None, "output_tokens": None, "cached_tokens": None}
    await put(
        counter,
        requests,
        [row(1, state="reserved", **empty), row(2, state="refused", error="key_paused", **empty)],
    )

    refused, running = (await counter.admin.get("/api/v1/requests")).json["data"]

    assert (running["cost_usd"], running["input_tokens"]) == (None, None)
    assert (refused["cost_usd"], refused["error"]) == (0, "key_paused")


async def test_filters_and_pages_of_the_log(counter: Counter) -> None:
    group, member, key = await counter.chain()
    own = {"group_id": group["id"], "member_id": member["id"], "key_id": key["id"]}
    await put(
        counter,
        requests,
        [
            row(1, **own),
            row(2, state="refused", flags="client_left"),
            row(3, model="text-embedding-3-small", endpoint="embeddings"),
            row(4, tag="100%"),
            row(5, **own),
        ],
    )

    async def found(**query: Any) -> list[str]:
        answer = await counter.admin.get("/api/v1/requests", **query)
        assert answer.status == 200, answer.body
        return [shown["id"] for shown in answer.json["data"]]

    assert await found() == ["req_5", "req_4", "req_3", "req_2", "req_1"]
    assert await found(group="swa") == ["req_5", "req_1"]
    assert await found(member=member["id"]) == ["req_5", "req_1"]
    assert await found(key=key["id"], limit=1) == ["req_5"]
    assert await found(model="text-embedding-3-small") == ["req_3"]
    assert await found(endpoint="embeddings") == ["req_3"]
    assert len(await found(endpoint="chat")) == 5
    assert await found(status="refused") == ["req_2"]
    assert await found(flagged="true") == ["req_2"]
    assert len(await found(flagged="false")) == 4
    assert await found(tag="100%") == ["req_4"]
    assert await found(tag="1%") == []
    assert await found(since="2026-11-20T03:00:00Z", until="2026-11-20T05:00:00+00:00") == [
        "req_4",
        "req_3",
    ]
    first = (await counter.admin.get("/api/v1/requests", limit=2)).json
    second = await found(limit=2, cursor=first["next_cursor"])
    assert second == ["req_3", "req_2"]


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("since=yesterday", 422, "since"),
        ("since=2026-11-20T00:00:00", 422, "since"),
        ("status=lost", 422, "status"),
        ("cursor=zzz", 422, "cursor"),
        ("limit=many", 422, "limit"),
        ("membre=x", 422, "membre"),
        ("tag=a&tag=b", 422, "tag"),
        ("group=nosuch", 404, None),
        ("member=mem_none", 404, None),
        ("key=key_none", 404, None),
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused(
    counter: Counter, query: str, status: int, field: str | None
) -> None:
    answer = await counter.admin.send("GET", "/api/v1/requests", query=query)

    assert answer.status == status
    if field is not None:
        assert [error["field"] for error in answer.json["errors"]] == [field]


async def test_usage_sums_by_the_dimensions_asked_for(counter: Counter) -> None:
    await put(
        counter,
        usage_buckets,
        [
            bucket(1),
            bucket(1.25, model="text-embedding-3-small", output_tokens=0),
            bucket(30, key_id="key_2"),
        ],
    )

    total = (await counter.admin.get("/api/v1/usage")).json
    by_model = (await counter.admin.get("/api/v1/usage", by="model")).json["data"]
    by_key_and_day = (await counter.admin.get("/api/v1/usage", by="key,day")).json["data"]

    assert total == {
        "data": [
            {
                "requests": 3,
                "input_tokens": 30,
                "output_tokens": 10,
                "cached_tokens": 6,
                "cost_usd": Decimal("0.75"),
            }
        ],
        "time_zone": "UTC",
        "next_cursor": None,
    }
    assert [(line["model"], line["requests"]) for line in by_model] == [
        ("gpt-4o-mini", 2),
        ("text-embedding-3-small", 1),
    ]
    assert [(line["key"], line["day"], line["requests"]) for line in by_key_and_day] == [
        ("key_1", "2026-11-20", 2),
        ("key_2", "2026-11-21", 1),
    ]


async def test_days_of_a_zone_begin_at_its_midnight(counter: Counter) -> None:
    """A zone at :45, so that a day begins in the middle of an hour of UTC."""
    # Midnight in Kathmandu (+05:45) is 18:15 UTC of the day before.
    await put(counter, usage_buckets, [bucket(18), bucket(18.25), bucket(42)])

    days = (await counter.admin.get("/api/v1/usage", by="day", time_zone="Asia/Kathmandu")).json

    assert [(line["day"], line["requests"]) for line in days["data"]] == [
        ("2026-11-20", 1),
        ("2026-11-21", 2),
    ]
    assert days["time_zone"] == "Asia/Kathmandu"


async def test_days_of_millennia_cost_no_more_than_those_on_which_somebody_called(
    counter: Counter,
) -> None:
    """A query per day of 8,000 years would keep the machine from everybody's calls."""
    await put(counter, usage_buckets, [bucket(1), bucket(26)])

    answer = await counter.admin.get(
        "/api/v1/usage", by="day", since="0001-01-01", until="9999-12-31"
    )

    assert answer.status == 200, answer.body
    assert [line["day"] for line in answer.json["data"]] == ["2026-11-20", "2026-11-21"]


async def test_usage_keeps_to_its_times_and_filters(counter: Counter) -> None:
    group, member, key = await counter.chain()
    own = {"group_id": group["id"], "member_id": member["id"], "key_id": key["id"]}
    await put(counter, usage_buckets, [bucket(1, **own), bucket(2), bucket(26, **own)])

    async def count(**query: Any) -> int:
        answer = await counter.admin.get("/api/v1/usage", **query)
        assert answer.status == 200, answer.body
        total: int = sum(line["requests"] for line in answer.json["data"])
        return total

    assert await count(since="2026-11-20T02:00:00Z") == 2
    assert await count(until="2026-11-20T02:00:00Z") == 1
    assert await count(group="swa") == 2
    assert await count(member=member["id"], until="2026-11-21") == 1
    assert await count(key=key["id"], by="day,model") == 2
    assert await count(since="2030-01-01") == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "colour"}, "by"),
        ({"by": "day,month"}, "by"),
        ({"by": "key,key"}, "by"),
        ({"time_zone": "Mars"}, "time_zone"),
        ({"since": "x"}, "since"),
    ],
)
async def test_usage_that_cannot_be_asked_for(
    counter: Counter, query: dict[str, str], field: str
) -> None:
    answer = await counter.admin.get("/api/v1/usage", **query)

    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == field


async def test_a_key_sees_its_own_numbers_and_no_names(counter: Counter) -> None:
    """K21."""
    await counter.group(
        name="internal-name",
        title="Software architecture",
        time_zone="Europe/Berlin",
        each=["$0.20/month"],
        shared=["$50/month"],
        models=["gpt-4o-mini", "text-embedding-3-*"],
        endpoints=["chat", "embeddings"],
    )
    member = await counter.member("internal-name", name="Ada", email="ada@uni.example")
    key = await counter.key(member["id"], name="laptop", models=["gpt-4o-*"])
    own = {"group_id": "x", "member_id": member["id"], "key_id": key["id"]}
    today = (counter.clock.now_us() - MIDNIGHT_US) // HOUR_US - 2
    await put(counter, usage_buckets, [bucket(today, **own), bucket(today)])

    answer = await counter.admin.send("GET", "/api/v1/me", token=key["key"])

    me = answer.json
    resets_at = me["limits"][0].pop("resets_at")
    assert resets_at.endswith("T23:00:00Z")
    (day,) = me["usage"]["days"]
    assert (day["requests"], day["cost_usd"]) == (1, Decimal("0.25"))
    assert [line["model"] for line in me["usage"]["models"]] == ["gpt-4o-mini"]
    del me["usage"]
    kept = ("bodies", "days", "purpose", "readers")  # the rest of it: test_papers
    me["privacy"] = {name: me["privacy"][name] for name in kept}
    assert me == {
        "key": {"id": key["id"], "last4": key["last4"]},
        "group": {"title": "Software architecture", "time_zone": "Europe/Berlin"},
        "models": ["gpt-4o-mini"],
        "endpoints": ["chat", "embeddings"],
        "limits": [
            {
                "limit": "$0.20/month",
                "scope": "member",
                "used": 0,
                "reserved": 0,
                "remaining": Decimal("0.2"),
            },
            {"limit": "$50/month", "scope": "group", "state": "available"},
        ],
        "privacy": {"bodies": "off", "days": 30, "purpose": "", "readers": ["owner"]},
    }
    for hidden in (b"Ada", b"ada@", b"laptop", b"internal-name", b"4711"):
        assert hidden not in answer.body


async def test_a_group_may_show_its_shared_limits(counter: Counter) -> None:
    _, _, key = await counter.chain(shared=["$50/month"], show_shared=True)

    me = (await counter.admin.send("GET", "/api/v1/me", token=key["key"])).json

    assert me["limits"][0]["remaining"] == 50


async def test_prices_are_shown_per_million_tokens(counter: Counter) -> None:
    prices = {
        price["model"]: price for price in (await counter.admin.get("/api/v1/prices")).json["data"]
    }

    assert prices["gpt-4o-mini"]["units"]["input"] == Decimal("0.15")
    assert prices["gpt-4o-mini"]["units"]["output"] == Decimal("0.6")
    assert prices["gpt-4o-mini"]["upstream"] == "openai"
    assert prices["gpt-4o-mini"]["free"] is False
    assert prices["gpt-4o-mini"]["images"] == "tiles-2833-5667"
    assert prices["gpt-3.5-turbo"]["images"] is None


async def test_usage_by_tag_comes_from_the_rows_with_their_corrections(counter: Counter) -> None:
    """Calls without a tag are told too, so that the sum is that of any other report."""
    group, member, key = await counter.chain()
    own = {"group_id": group["id"], "member_id": member["id"], "key_id": key["id"]}
    await put(
        counter,
        requests,
        [
            row(1, **own, tag="hw-1"),
            row(2, **own, tag="hw-1"),
            row(3, **own),
            row(4, **own, tag="hw-2", state="refused", cost=0),
            row(5, tag="hw-1"),
            row(30, **own, tag="hw-2"),
        ],
    )
    await put(
        counter,
        entries,
        [
            {
                "workspace_id": DEFAULT_WORKSPACE, "id": "ent_1", "position": 3_000, "at": MIDNIGHT_US,
                "kind": "correction", "request_id": "req_2", "cost": -500, "input_tokens": -1,
                "output_tokens": 0, "actor": "system",
            }
        ],
    )  # fmt: skip

    async def found(**query: Any) -> list[tuple[Any, ...]]:
        answer = await counter.admin.get("/api/v1/usage", **query)
        assert answer.status == 200, answer.body
        names = [*query["by"].split(","), "requests", "input_tokens", "cost_usd"]
        return [tuple(shown[name] for name in names) for shown in answer.json["data"]]

    cost = Decimal("0.0000015")
    one = {"since": "2026-11-20", "until": "2026-11-21"}
    assert await found(by="tag", group="swa", **one) == [
        ("hw-1", 2, 19, 2 * cost - Decimal("0.0000005")),
        (None, 1, 10, cost),
    ]
    assert await found(by="tag,key", key=key["id"]) == [
        ("hw-1", key["id"], 2, 19, 2 * cost - Decimal("0.0000005")),
        ("hw-2", key["id"], 1, 10, cost),
        (None, key["id"], 1, 10, cost),
    ]
    assert (await found(by="tag", **one))[0][:2] == ("hw-1", 3)


async def test_usage_by_tag_of_too_many_calls_is_refused(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagged_calls, "CALLS_MAX", 2)
    await put(counter, requests, [row(number) for number in range(3)])

    answer = await counter.admin.get("/api/v1/usage", by="tag")
    few = await counter.admin.get("/api/v1/usage", by="tag", since="2026-11-20T01:00:00Z")

    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "by")
    assert (few.status, few.json["data"][0]["requests"]) == (200, 2)


async def test_usage_by_hour_of_a_zone_that_is_a_quarter_off(counter: Counter) -> None:
    await put(counter, usage_buckets, [bucket(1), bucket(1.25), bucket(2)])

    answer = await counter.admin.get("/api/v1/usage", by="hour", time_zone="Asia/Kathmandu")

    assert [(r["hour"], r["requests"]) for r in answer.json["data"]] == [
        ("2026-11-20T06:00+05:45", 1),
        ("2026-11-20T07:00+05:45", 2),
    ]
