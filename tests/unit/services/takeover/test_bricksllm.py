"""BricksLLM's exports in our words. The files are written by us after its documented fields."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from tuckshop.domain.keys import digest_of
from tuckshop.domain.limits import parse_limit
from tuckshop.services.shapes.takeover import TakenKey
from tuckshop.services.takeover import bricksllm
from tuckshop.services.takeover.export import Carried, ExportError, rows_of

DATA = Path(__file__).parents[3] / "data" / "bricksllm"


def read(*names: str) -> Carried:
    return bricksllm.read(
        (row for name in names for row in rows_of((DATA / name).read_bytes())), group="swa"
    )


def key_of(carried: Carried, secret: str) -> TakenKey:
    return carried.keys[digest_of(secret).hex()]


def limits_of(**fields: Any) -> list[str]:
    row = {"key": "ab" * 32, "keyId": "k", "name": "one", **fields}
    return list(bricksllm.read([row], group="swa").keys["ab" * 32].limits or [])


def test_a_key_keeps_its_secret_its_limits_and_its_end() -> None:
    """K1: known by the digest that both keep."""
    ada = key_of(read("keys.json", "users.json"), "bricks-ada-example-1")

    assert (ada.group, ada.external_id, ada.name) == ("swa", "u-1", "ada")
    assert ada.limits == ["$0.2/month", "35 requests/minute"]
    assert (ada.tags, ada.state, ada.endpoints) == (["laptop"], "active", UNSET)
    assert ada.expires_at == datetime(2027, 9, 21, 14, 13, 20, tzinfo=UTC)


def test_users_become_members_and_a_key_without_one_is_a_member_of_its_own() -> None:
    carried = read("keys.json", "users.json")

    assert {name for _, name in carried.members} == {"u-1", "id-2", "id-3", "id-4"}
    ada = carried.members["swa", "u-1"]
    assert (ada.name, ada.limits, ada.models) == ("Ada Lovelace", ["$2/day"], ["gpt-4o-mini"])
    assert list(carried.groups) == ["swa"]


def test_paths_become_endpoints_and_what_is_revoked_stays_so() -> None:
    carried = read("keys.json")

    bot = key_of(carried, "bricks-bot-example-2")
    assert (bot.endpoints, bot.limits) == (["chat"], ["$7.5 total"])
    assert key_of(carried, "bricks-gone-example-3").state == "revoked"
    clear = key_of(carried, "bricks-clear-example-4")
    assert clear.last4 == "le-4"
    assert "bricks-clear" not in repr(clear)


def test_what_cannot_be_carried_over_is_told_by_name_and_reason() -> None:
    assert {(one.what, one.name) for one in read("keys.json", "users.json").left} == {
        ("spend", "key bot"),
        ("allowed_paths", "key bot"),
        ("policy_id", "key bot"),
        ("revoked_reason", "key gone"),
        ("should_log_request", "key clear"),
        ("tags", "user u-1"),
    }


def test_a_table_says_the_same_as_the_api() -> None:
    assert key_of(read("keys.csv", "users.json"), "bricks-ada-example-1") == key_of(
        read("keys.json", "users.json"), "bricks-ada-example-1"
    )


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        ({"costLimitInUsdOverTime": 1, "costLimitInUsdUnit": "h"}, ["$1/hour"]),
        ({"costLimitInUsdOverTime": 1, "costLimitInUsdUnit": "d"}, ["$1/day"]),
        ({"rateLimitOverTime": 2, "rateLimitUnit": "s"}, ["2 requests/second"]),
        ({"rateLimitOverTime": 0, "rateLimitUnit": ""}, []),
        ({"costLimitInUsdOverTime": 1, "costLimitInUsdUnit": "y"}, ["$0 total"]),
    ],
)
def test_a_unit_is_a_window(fields: dict[str, Any], limits: list[str]) -> None:
    assert limits_of(**fields) == limits
    for limit in limits:
        parse_limit(limit)


@pytest.mark.parametrize("raw", [b'[{"id": "u-1"}]', b"[true]", b'{"keys": "none"}'])
def test_what_is_no_export_is_told_as_such(raw: bytes) -> None:
    with pytest.raises(ExportError):
        bricksllm.read(rows_of(raw), group="swa")
