"""LiteLLM's exports in our words. The files are written by us after its documented fields."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from tuckshop.domain.keys import digest_of
from tuckshop.domain.limits import parse_limit
from tuckshop.services.takeover import litellm
from tuckshop.services.takeover.export import Carried, ExportError, rows_of

DATA = Path(__file__).parents[3] / "data" / "litellm"


def read(*names: str) -> Carried:
    return litellm.read(
        (row for name in names for row in rows_of((DATA / name).read_bytes())), group="rest"
    )


def key(**fields: Any) -> dict[str, Any]:
    return {"token": "ab" * 32, "key_alias": "one", "user_id": "ada", **fields}


def limits_of(**fields: Any) -> list[str]:
    carried = litellm.read([key(**fields)], group="rest")
    return list(carried.keys["ab" * 32].limits or [])


def test_a_team_becomes_a_group_whose_limits_are_shared() -> None:
    group = read("teams.json").groups["software-architecture"]

    assert (group.title, group.models) == (
        "Software Architecture",
        ["gpt-4o-mini", "text-embedding-3-small"],
    )
    assert group.shared == ["$50/month", "600 requests/minute", "200000 tokens/minute"]


def test_users_become_members_of_their_teams_and_the_others_of_one_group() -> None:
    carried = read("teams.json", "users.json", "keys.json")

    assert set(carried.members) == {
        ("software-architecture", "prof@example.org"),
        ("software-architecture", "ada"),
        ("software-architecture", "zoe"),
        *(("rest", name) for name in ("solo", "admin", "ci")),
    }
    ada = carried.members["software-architecture", "ada"]
    assert (ada.name, ada.email, ada.limits) == ("Ada Lovelace", "ada@example.org", ["$2/week"])
    assert carried.members["rest", "solo"].limits == ["$3/month"]
    assert carried.members["rest", "solo"].models == ["gpt-4o-mini"]


def test_a_key_keeps_its_secret_its_limits_and_its_end() -> None:
    """K1: known by the digest that both keep."""
    carried = read("keys.json", "teams.json", "users.json")

    ada = carried.keys[digest_of("sk-ada-EXAMPLE-0001").hex()]
    assert (ada.group, ada.external_id, ada.last4) == ("software-architecture", "ada", "0001")
    assert ada.limits == [
        *("$0.2/month", "35 requests/minute", "10 requests/minute on gpt-4o-mini"),
        *("1600 tokens/minute", "4 concurrent requests"),
    ]
    assert (ada.models, ada.endpoints, ada.tags) == (None, None, ["laptop"])
    assert ada.expires_at == datetime(2027, 3, 31, 23, 59, 59, tzinfo=UTC)
    zoe = carried.keys[digest_of("sk-zoe-EXAMPLE-0002").hex()]
    assert (zoe.state, zoe.models) == ("paused", ["gpt-4o-mini"])
    for one in carried.keys.values():
        for limit in one.limits or []:
            parse_limit(limit)


def test_what_cannot_be_carried_over_is_told_by_name_and_reason() -> None:
    left = {(one.what, one.name) for one in read("keys.json", "teams.json", "users.json").left}

    assert left == {
        ("role", "software-architecture/prof@example.org"),
        ("metadata.room", "team software-architecture"),
        ("spend", "team software-architecture"),
        ("spend", "software-architecture/ada"),
        ("spend", "key ada"),
        ("allowed_routes", "key ci"),
        ("aliases", "key ci"),
        ("budget_duration", "key old"),
        ("max_budget", "user ada"),
        ("user_role", "user admin"),
    }


def test_of_a_budget_that_never_starts_again_only_the_rest_is_carried_over() -> None:
    """M14: taking over gives nobody their money a second time."""
    ci = read("keys.json").keys[digest_of("sk-ci-EXAMPLE-0003").hex()]

    assert ci.limits == ["$2.75 total", "$0.5/day on gpt-4o-mini"]
    assert ci.endpoints == ["chat", "embeddings"]
    assert limits_of(max_budget=1, spend=2) == ["$0 total"]


@pytest.mark.parametrize(
    ("duration", "window"),
    [
        *((None, "total"), ("", "total"), ("None", "total")),
        *(("30d", "month"), ("1mo", "month"), ("7d", "week"), ("1w", "week")),
        *(("1d", "day"), ("24h", "day"), ("1h", "hour"), ("30m", "30 minutes")),
        *(("2w", "14 days"), ("10d", "10 days"), ("90s", "90 seconds"), ("1m", "minute")),
        *(("2mo", None), ("0d", None), ("soon", None), ("5", None)),
    ],
)
def test_a_duration_is_the_window_that_it_means_there(duration: str, window: str | None) -> None:
    assert litellm.window_of(duration) == window
    if window not in (None, "total"):
        parse_limit(f"$1/{window}")


def test_a_budget_whose_window_is_not_known_lets_nothing_pass() -> None:
    assert limits_of(max_budget=1, budget_duration="2mo") == ["$0 total"]


@pytest.mark.parametrize(
    ("amount", "limit"),
    [
        (Decimal("0.1"), "$0.1/day"),
        (Decimal("1E+2"), "$100/day"),
        (Decimal("0.30000000000000004"), "$0.3/day"),
        (Decimal("1e-10"), "$0/day"),
        (0, "$0/day"),
        ("12.5", "$12.5/day"),
    ],
)
def test_money_is_read_as_decimals_and_never_rounded_up(amount: object, limit: str) -> None:
    assert limits_of(max_budget=amount, budget_duration="1d") == [limit]


def test_models_are_what_the_names_mean_there() -> None:
    def models(*names: str) -> object:
        return litellm.read([key(models=list(names))], group="g").keys["ab" * 32].models

    assert models() is None
    assert models("all-team-models") is None
    assert models("no-default-models") == []
    assert models("openai/gpt-4o", "gpt-4o", "text-*") == ["gpt-4o", "text-*"]


def test_a_table_says_the_same_as_the_api() -> None:
    by_table = read("keys.csv", "teams.json").keys[digest_of("sk-ada-EXAMPLE-0001").hex()]

    assert by_table.limits == ["$0.2/month", "35 requests/minute", "1600 tokens/minute"]
    assert by_table.models == ["gpt-4o-mini", "text-embedding-3-small"]
    assert (by_table.tags, by_table.last4) == (["laptop"], "0001")
    assert by_table.expires_at == datetime(2027, 3, 31, 23, 59, 59, tzinfo=UTC)


def test_two_teams_of_one_name_stay_two_groups_whatever_their_order() -> None:
    teams: list[dict[str, Any]] = [{"team_id": id_, "team_alias": "Team A"} for id_ in ("1", "2")]

    there, back = (litellm.read(rows, group="rest").groups for rows in (teams, teams[::-1]))

    assert set(there) == set(back)
    assert len(there) == 2
    assert "team-a" in there


def test_sessions_of_the_dashboard_and_unknown_tokens_are_left() -> None:
    rows = [key(team_id="litellm-dashboard"), key(token="plain text")]

    carried = litellm.read(rows, group="rest")

    assert not carried.keys
    assert [one.what for one in carried.left] == ["key", "key"]


def test_a_key_of_a_team_that_is_not_in_the_export_keeps_apart() -> None:
    carried = litellm.read([key(team_id="T-9")], group="rest")

    assert carried.keys["ab" * 32].group == "t-9"
    assert [(one.what, one.name) for one in carried.left] == [("team", "T-9")]
    assert carried.groups["t-9"].shared is UNSET


@pytest.mark.parametrize(
    "raw",
    [
        b'{"keys": ["abc"]}',
        b"[1]",
        b"{",
        b'[{"some": "thing"}]',
        b"hello",
        b"\xff\xfe\x00",
        b'[{"token": "' + b"ab" * 32 + b'", "max_budget": "much"}]',
        b'[{"token": "' + b"ab" * 32 + b'", "expires": "soon"}]',
    ],
)
def test_what_is_no_export_is_told_as_such(raw: bytes) -> None:
    with pytest.raises(ExportError):
        litellm.read(rows_of(raw), group="rest")
