"""Groups by the admin API."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.integration.api.conftest import Counter

pytestmark = pytest.mark.anyio


async def test_a_group_is_read_as_the_contract_shows_it(counter: Counter) -> None:
    sent = {
        "name": "swa-2026",
        "title": "Software architecture",
        "time_zone": "Europe/Berlin",
        "models": ["gpt-4o-mini", "text-embedding-*"],
        "endpoints": ["chat", "embeddings"],
        "each": ["$0.2/mo", "35 rpm on gpt-4o-mini"],
        "shared": ["$50/month"],
        "max_output_tokens": 2000,
    }

    answer = await counter.admin.post("/api/v1/groups", sent)

    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    group = answer.json
    assert group["id"].startswith("grp_")
    assert group == {
        **sent,
        "id": group["id"],
        "each": ["$0.20/month", "35 requests/minute on gpt-4o-mini"],
        "tools": [],
        "carry_over": None,
        "min_output_tokens": 1024,
        "patience_s": 20,
        "on_disconnect": "drain",
        "unknown_parameters": "refuse",
        "provider_storage": "off",
        "objects": "own",
        "show_shared": False,
        "self_rotate": False,
        "moderation": {"mode": "off", "fail": "closed", "thresholds": {}},
        "logging": {"bodies": "off", "days": 30, "purpose": "", "readers": ["owner"]},
        "strikes": None,
        "log_days": 400,
        "pseudonyms": False,
        "state": "active",
        "in_force": [
            {
                "limit": "$50/month",
                "scope": "group",
                "used": 0,
                "reserved": 0,
                "remaining": 50,
                "resets_at": group["in_force"][0]["resets_at"],
            }
        ],
        "rules": None,
        "worst_case": group["worst_case"],
    }
    assert (await counter.admin.get("/api/v1/groups/swa-2026")).json == group
    assert (await counter.admin.get(f"/api/v1/groups/{group['id']}")).json == group


async def test_a_limit_that_cannot_be_read_is_refused_with_field_and_column(
    counter: Counter,
) -> None:
    answer = await counter.admin.post(
        "/api/v1/groups", {"name": "swa", "each": ["$1/month", "5 bananas/day"], "shared": ["€5"]}
    )

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == 422
    assert [error["field"] for error in problem["errors"]] == ["each[1]", "shared[0]"]
    assert "column 3" in problem["errors"][0]["message"]
    assert (await counter.admin.get("/api/v1/groups")).json["data"] == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "Swa"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": 1}, "name"),
        ({}, "name"),
        ({"name": "a", "colour": "red"}, "colour"),
        ({"name": "a", "id": "grp_1"}, "id"),
        ({"name": "a", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"name": "a", "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"name": "a", "models": ["a b"]}, "models[0]"),
        ({"name": "a", "models": "gpt-4o"}, "models"),
        ({"name": "a", "endpoints": ["Chat!"]}, "endpoints[0]"),
        ({"name": "a", "max_output_tokens": 0}, "max_output_tokens"),
        ({"name": "a", "max_output_tokens": True}, "max_output_tokens"),
        ({"name": "a", "patience_s": 1e9}, "patience_s"),
        ({"name": "a", "on_disconnect": "wait"}, "on_disconnect"),
        ({"name": "a", "title": "two\nlines"}, "title"),
        ({"name": "a", "tools": ["web_search"]}, "tools"),
        ({"name": "a", "carry_over": "1"}, "carry_over"),
        ({"name": "a", "provider_storage": "on"}, "provider_storage"),
        ({"name": "a", "objects": "shared"}, "objects"),
        ({"name": "a", "log_days": 30}, "log_days"),
        ({"name": "a", "strikes": {"count": 0}}, "strikes.count"),
        ({"name": "a", "strikes": {"pause": "all"}}, "strikes.pause"),
        ({"name": "a", "moderation": {"thresholds": {"rudeness": 0.5}}}, "moderation.thresholds"),
        ({"name": "a", "moderation": {"mode": "log", "upstream": "nobody"}}, "moderation.upstream"),
        ({"name": "a", "moderation": {"mode": "off", "wrong": 1}}, "moderation.wrong"),
        ({"name": "a", "logging": {"bodies": "all"}}, "logging.purpose"),
        ({"name": "a", "logging": {"bodies": "all", "purpose": " "}}, "logging.purpose"),
        (
            {"name": "a", "logging": {"bodies": "all", "purpose": "x", "readers": []}},
            "logging.readers",
        ),
        (
            {"name": "a", "logging": {"bodies": "all", "purpose": "x", "readers": ["me"]}},
            "logging.readers[0]",
        ),
        ({"name": "a", "logging": {"bodies": "all", "purpose": "x", "days": 366}}, "logging.days"),
        ({"name": "a", "logging": {"bodies": "all", "purpose": "x", "days": 0}}, "logging.days"),
    ],
)
async def test_a_field_that_cannot_be_taken_refuses_the_whole_group(
    counter: Counter, fields: dict[str, object], field: str
) -> None:
    answer = await counter.admin.post("/api/v1/groups", fields)

    assert answer.status == 422, answer.body
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert (await counter.admin.get("/api/v1/groups")).json["data"] == []


async def test_policy_fields_that_nothing_obeys_are_taken_with_their_defaults(
    counter: Counter,
) -> None:
    group = await counter.group(
        tools=[],
        carry_over=None,
        provider_storage="off",
        objects="own",
        self_rotate=False,
        moderation={"mode": "off"},
        logging=None,
        log_days=400,
    )

    unavailable = await counter.admin.patch(
        f"/api/v1/groups/{group['id']}", {"title": "New", "objects": "shared"}
    )

    assert unavailable.status == 422
    assert "not available yet" in unavailable.json["detail"]
    assert (await counter.admin.get("/api/v1/groups/swa")).json["title"] == ""


async def test_a_change_sets_what_is_sent_and_null_unsets(counter: Counter) -> None:
    await counter.group(each=["$1/month"], models=["gpt-4o"], max_output_tokens=5, title="Old")

    changed = (await counter.admin.patch("/api/v1/groups/swa", {"title": "New"})).json
    unset = (
        await counter.admin.patch(
            "/api/v1/groups/swa",
            {"each": None, "models": None, "max_output_tokens": None, "title": None},
        )
    ).json

    assert (changed["title"], changed["each"], changed["models"]) == (
        "New",
        ["$1/month"],
        ["gpt-4o"],
    )
    assert (unset["title"], unset["each"], unset["models"], unset["max_output_tokens"]) == (
        "",
        [],
        None,
        None,
    )


async def test_an_empty_list_of_models_means_nothing(counter: Counter) -> None:
    assert (await counter.group(models=[]))["models"] == []


async def test_names_are_taken_once_archived_groups_included(counter: Counter) -> None:
    await counter.group()
    other = await counter.group(name="other")
    await counter.admin.delete("/api/v1/groups/swa")

    again = await counter.admin.post("/api/v1/groups", {"name": "swa"})
    renamed = await counter.admin.patch(f"/api/v1/groups/{other['id']}", {"name": "swa"})

    assert (again.status, renamed.status) == (409, 409)
    assert "archived" in again.json["detail"]


async def test_a_renamed_group_is_found_by_its_new_name_alone(counter: Counter) -> None:
    await counter.group()

    assert (await counter.admin.patch("/api/v1/groups/swa", {"name": "swb"})).status == 200

    assert (await counter.admin.get("/api/v1/groups/swa")).status == 404
    assert (await counter.admin.get("/api/v1/groups/swb")).json["name"] == "swb"


async def test_pause_resume_and_archive(counter: Counter) -> None:
    await counter.group()
    states = []
    for call in ("pause", "pause", "resume"):
        answer = await counter.admin.post(f"/api/v1/groups/swa/{call}")
        assert answer.status == 200
        states.append(answer.json["state"])
    archived = await counter.admin.delete("/api/v1/groups/swa")

    assert states == ["paused", "paused", "active"]
    assert archived.json["state"] == "archived"
    assert (await counter.admin.get("/api/v1/groups")).json["data"] == []
    listed = await counter.admin.get("/api/v1/groups", state="archived")
    assert [group["name"] for group in listed.json["data"]] == ["swa"]
    assert (await counter.admin.post("/api/v1/groups/swa/pause")).status == 409


async def test_lists_go_page_by_page(counter: Counter) -> None:
    names = [f"g{number}" for number in range(5)]
    for name in names:
        await counter.group(name=name)
        counter.clock.advance(1)

    found: list[str] = []
    query: dict[str, object] = {"limit": 2}
    while True:
        page = (await counter.admin.get("/api/v1/groups", **query)).json
        found += [group["name"] for group in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert found == names
    assert (await counter.admin.get("/api/v1/groups", cursor="§")).status == 422
    assert (await counter.admin.get("/api/v1/groups", limit=1001)).status == 422
    assert (await counter.admin.get("/api/v1/groups", limit=0)).status == 422
    assert (await counter.admin.get("/api/v1/groups", colour="red")).status == 422


async def test_the_zone_of_a_group_changes(counter: Counter) -> None:
    await counter.group()

    changed = await counter.admin.patch("/api/v1/groups/swa", {"time_zone": "Asia/Kathmandu"})
    back = await counter.admin.patch("/api/v1/groups/swa", {"time_zone": None})

    assert (changed.json["time_zone"], back.json["time_zone"]) == ("Asia/Kathmandu", "UTC")


async def test_money_is_a_json_number_with_at_most_nine_decimals(counter: Counter) -> None:
    group = await counter.group(shared=["$0.000000001/day"])

    assert group["in_force"][0]["remaining"] == Decimal("0.000000001")
