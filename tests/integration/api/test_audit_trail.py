"""What staff did can be read, and a trail that somebody changed is found out (K16)."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.integration.api.conftest import Counter

pytestmark = pytest.mark.anyio


async def test_the_trail_says_who_did_what_newest_first(counter: Counter) -> None:
    group, member, key = await counter.chain()
    await counter.admin.patch("/api/v1/groups/swa", {"title": "Software"})
    await counter.admin.post(f"/api/v1/keys/{key['id']}/revoke")

    rows = (await counter.admin.get("/api/v1/audit")).json["data"]

    assert [row["action"] for row in rows] == [
        "key.revoke",
        "group.change",
        "key.create",
        "member.create",
        "group.create",
        "workspace.create",
    ]
    assert [row["number"] for row in rows] == [6, 5, 4, 3, 2, 1]
    assert rows[1] == {
        "number": 5,
        "at": rows[1]["at"],
        "actor": "operator",
        "action": "group.change",
        "object": group["id"],
        "before": {"title": ""},
        "after": {"title": "Software"},
    }
    assert rows[0]["object"] == key["id"]
    assert member["id"] == rows[3]["object"]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"action": "key"}, [6, 4]),
        ({"action": "key.revoke"}, [6]),
        ({"action": "ke"}, []),
        ({"actor": "operator"}, [6, 5, 4, 3, 2]),
        ({"actor": "system"}, [1]),
        ({"limit": "2"}, [6, 5]),
        ({"since": "2100-01-01"}, []),
        ({"until": "2000-01-01"}, []),
    ],
)
async def test_filters(counter: Counter, query: dict[str, str], numbers: list[int]) -> None:
    _, _, key = await counter.chain()
    await counter.admin.patch("/api/v1/groups/swa", {"title": "Software"})
    await counter.admin.post(f"/api/v1/keys/{key['id']}/revoke")

    rows = (await counter.admin.get("/api/v1/audit", **query)).json["data"]

    assert [row["number"] for row in rows] == numbers


async def test_pages_follow_one_another_to_the_first_row(counter: Counter) -> None:
    await counter.chain()
    numbers, cursor = [], None
    while True:
        query = {"limit": "3"} | ({} if cursor is None else {"cursor": cursor})
        page = (await counter.admin.get("/api/v1/audit", **query)).json
        numbers += [row["number"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert numbers == [4, 3, 2, 1]


async def test_a_row_that_was_changed_later_is_found(counter: Counter) -> None:
    """K16."""
    await counter.chain()
    whole = (await counter.admin.post("/api/v1/audit/verify")).json
    with closing(sqlite3.connect(counter.database.path)) as connection:
        connection.execute("UPDATE audit SET after = '{}' WHERE number = 3")
        connection.commit()

    changed = (await counter.admin.post("/api/v1/audit/verify")).json

    assert whole == {"rows": 4, "first_broken": None}
    assert changed == {"rows": 4, "first_broken": 3}
