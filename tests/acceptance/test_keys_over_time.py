"""What happens to people and keys in a term, and that money sticks to accounts and not to secrets (M14, K3, K19)."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.acceptance.conftest import NewKey
from tests.support.http import Reply, post
from tests.support.processes import Server, call

ASK: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Hello. [[tokens:5]]"}],
    "max_tokens": 20,
}


def ask(server: Server, key: str) -> Reply:
    return asyncio.run(post(server.url, "/v1/chat/completions", key, ASK))


def me(server: Server, key: str) -> dict[str, Any]:
    status, answer = call("GET", f"{server.url}/api/v1/me", token=key)
    assert status == 200, answer
    return dict(answer)


def test_a_members_limit_binds_all_their_keys_together(server: Server, new_key: NewKey) -> None:
    """K19."""
    first = new_key(each=["3 requests/day"])
    member = server.made("GET", f"/keys/{me(server, first)['key']['id']}")["member"]
    second = server.made("POST", f"/members/{member}/keys", {"name": "laptop"})["key"]

    statuses = [ask(server, key).status for key in (first, second, first, second, first)]

    assert statuses == [200, 200, 200, 429, 429]


def test_a_keys_own_limit_narrows_its_member(server: Server, new_key: NewKey) -> None:
    wide = new_key(each=["10 requests/day"])
    member = server.made("GET", f"/keys/{me(server, wide)['key']['id']}")["member"]
    narrow = server.made("POST", f"/members/{member}/keys", {"limits": ["1 request/day"]})["key"]

    assert [ask(server, narrow).status for _ in range(2)] == [200, 429]
    assert ask(server, wide).status == 200


def test_a_rotated_key_keeps_its_limits_and_use_and_its_old_secret_stops(
    server: Server, new_key: NewKey
) -> None:
    """M14: a new secret is no new budget."""
    old = new_key(key={"limits": ["2 requests/day"]})
    key_id = me(server, old)["key"]["id"]
    assert ask(server, old).status == 200

    new = server.made("POST", f"/keys/{key_id}/rotate")["key"]

    assert (ask(server, old).status, ask(server, old).code) == (401, "invalid_api_key")
    assert me(server, new)["limits"][0]["used"] == 1
    assert [ask(server, new).status for _ in range(2)] == [200, 429]


def test_an_overlap_lets_the_old_secret_open_for_a_while(server: Server, new_key: NewKey) -> None:
    old = new_key()
    key_id = me(server, old)["key"]["id"]

    new = server.made("POST", f"/keys/{key_id}/rotate", {"overlap": "24h"})["key"]

    assert ask(server, old).status == ask(server, new).status == 200
    server.made("POST", f"/keys/{key_id}/revoke")
    assert ask(server, old).status == ask(server, new).status == 401


def test_a_member_who_was_archived_and_comes_back_meets_what_was_spent(
    server: Server, new_key: NewKey
) -> None:
    """M14: a respelled or revived id is no fresh budget."""
    key = new_key(member={"external_id": "Erika@Example.org"}, each=["2 requests/day"])
    member = server.made("GET", f"/keys/{me(server, key)['key']['id']}")["member"]
    group = server.made("GET", f"/members/{member}")["group"]
    assert ask(server, key).status == 200

    server.made("DELETE", f"/members/{member}")
    assert ask(server, key).code == "key_archived"
    back = server.made(
        "POST", f"/groups/{group}/members?issue_keys=true", {"external_id": " erika@example.org "}
    )["data"][0]

    assert back["id"] == member
    (limit,) = back["in_force"]
    assert limit["used"] == 1
    assert "key" not in back, "the old key is active again, so no second one is made"
    assert [ask(server, key).status for _ in range(2)] == [200, 429]


def test_a_limit_added_later_counts_what_was_spent_and_a_raised_one_forgets_nothing(
    server: Server, new_key: NewKey
) -> None:
    key = new_key()
    member = server.made("GET", f"/keys/{me(server, key)['key']['id']}")["member"]
    assert [ask(server, key).status for _ in range(2)] == [200, 200]

    server.made("PATCH", f"/members/{member}", {"limits": ["2 requests/day"]})
    assert ask(server, key).status == 429
    server.made("PATCH", f"/members/{member}", {"limits": ["3 requests/day"]})

    assert [ask(server, key).status for _ in range(2)] == [200, 429]


def test_a_reset_starts_the_window_afresh_and_total_only_when_asked(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["1 request/day", "100 requests total"])
    member = server.made("GET", f"/keys/{me(server, key)['key']['id']}")["member"]
    assert [ask(server, key).status for _ in range(2)] == [200, 429]

    server.made("POST", f"/members/{member}/reset")

    used = {limit["limit"]: limit["used"] for limit in me(server, key)["limits"]}
    assert used == {"1 request/day": 0, "100 requests total": 1}
    assert ask(server, key).status == 200
    server.made("POST", f"/members/{member}/reset?total=true")
    assert {limit["used"] for limit in me(server, key)["limits"]} == {0}
