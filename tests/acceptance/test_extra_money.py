"""
Limits over a term, from outside: extra money, saved money, a limit of one's own, other numbers for other models.

The made-up upstream bills what it generates: a thousand tokens out of gpt-4o-mini are $0.0006.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.acceptance.conftest import NewKey, key_of_new_member
from tests.support.http import Reply, post
from tests.support.processes import Mock, Server, call, start_server
from tests.support.shell import Shell

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
BUDGET = "x-tuckshop-budget-remaining-usd"


def ask(server: Server, key: str, tokens: int = 1_000, model: str = "gpt-4o-mini") -> Reply:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"Tell me. [[tokens:{tokens}]]"}],
        "max_tokens": tokens,
    }
    return asyncio.run(post(server.url, CHAT, key, body))


def use_up(server: Server, key: str) -> int:
    """Call until nothing is left; how many answers came."""
    for answered in range(50):
        reply = ask(server, key)
        if reply.status != 200:
            assert (reply.status, reply.code) == (429, "insufficient_quota"), reply
            return answered
    raise AssertionError("the budget does not end")


def limits_of(server: Server, key: str) -> dict[str, dict[str, Any]]:
    status, me = call("GET", f"{server.url}/api/v1/me", token=key)
    assert status == 200, me
    return {one["limit"]: one for one in me["limits"]}


def test_a_project_week_is_one_command_for_the_class(server: Server) -> None:
    """M1: granted money is spent after the month's own, cut answers included, and then no more."""
    key = key_of_new_member(server, "week", each=["$0.002/month"])
    assert use_up(server, key) == 4  # the fourth was cut to what was left
    shell = Shell(server)

    said = shell.run(
        *("member", "grant", "--group", "week", "--all", "--amount-usd", "0.001"),
        *("--until", "2099-12-31", "--reason", "project week"),
    ).stdout

    assert (
        said == "Granted $0.001 to 1 member until 2099-12-31 00:00 UTC.\n" or "2100-01-01" in said
    )
    limit = limits_of(server, key)["$0.002/month"]
    assert limit["used"] + limit["remaining"] == pytest.approx(0.003)
    reply = ask(server, key)
    assert reply.status == 200
    left = limits_of(server, key)["$0.002/month"]["remaining"]
    assert float(reply.headers[BUDGET]) == pytest.approx(left)
    assert use_up(server, key) == 1  # cut to what the grant had left
    (grant,) = shell.json("member", "grants", "week/week-1")["data"]
    assert (grant["state"], grant["reason"]) == ("active", "project week")
    assert grant["left"][0]["left_usd"] < 0.00002
    refused = json.loads(ask(server, key).body)["error"]["message"]
    assert "$0.002/month" in refused
    assert "left" in refused


def test_no_race_gets_past_a_grant(server: Server) -> None:
    """M1: sixty calls at once while the grant is made; what was used and held never passes amount and grant."""
    key = key_of_new_member(server, "race", each=["$0.002/month"])
    member = server.made("GET", "/groups/race/members")["data"][0]["id"]

    def grant() -> None:
        server.made("POST", f"/members/{member}/grants", {"amount_usd": 0.001})

    with ThreadPoolExecutor(61) as pool:
        calls = [pool.submit(ask, server, key, 200) for _ in range(20)]
        granting = pool.submit(grant)
        calls += [pool.submit(ask, server, key, 200) for _ in range(40)]
        granting.result()
        replies = [one.result() for one in calls]
    use_up(server, key)

    assert {reply.status for reply in replies} <= {200, 429}
    limit = limits_of(server, key)["$0.002/month"]
    assert limit["used"] + limit["reserved"] <= 0.003
    assert limit["used"] > 0.0028


def test_a_grant_survives_a_kill(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> None:
    """M4, M8: kill -9 while calls run on granted money; the next start knows it, and every sum agrees."""
    folder = tmp_path_factory.mktemp("killed")
    first = start_server(folder, mock.url)
    key = key_of_new_member(first, "killed", each=["$0.002/month"])
    member = first.made("GET", "/groups/killed/members")["data"][0]["id"]
    first.made("POST", f"/members/{member}/grants", {"amount_usd": 0.001})
    assert ask(first, key).status == 200
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(ask, first, key, 400) for _ in range(8)]
        running[0].exception()
        first.process.kill()
        first.process.wait()
        for one in running:
            one.exception()

    second = start_server(folder, mock.url)

    limit = limits_of(second, key)["$0.002/month"]
    assert limit["used"] + limit["remaining"] == pytest.approx(0.003)
    use_up(second, key)
    assert limits_of(second, key)["$0.002/month"]["used"] <= 0.003
    Shell(second).run("verify")
    assert second.stop() == 0


def test_two_models_have_their_own_numbers_on_one_key(server: Server, new_key: NewKey) -> None:
    """35 requests and 1,600 tokens a minute on one model, 50 and 5,000 on another: neither fills the other."""
    key = new_key(
        key={
            "limits": [
                "35 requests/minute on gpt-3.5-turbo",
                "1600 tokens/minute on gpt-3.5-turbo",
                "50 requests/minute on text-embedding-ada-002",
                "5000 tokens/minute on text-embedding-ada-002",
            ]
        }
    )

    def embed(words: int) -> Reply:
        body = {"model": "text-embedding-ada-002", "input": "word " * words}
        return asyncio.run(post(server.url, EMBEDDINGS, key, body))

    first = ask(server, key, 1_400, "gpt-3.5-turbo")
    full = ask(server, key, 1_400, "gpt-3.5-turbo")
    embedded = embed(1_000)

    assert (first.status, first.headers["x-ratelimit-limit-tokens"]) == (200, "1600")
    assert first.headers["x-ratelimit-limit-requests"] == "35"
    assert full.status in (200, 429)  # cut to what is left, or nothing is left
    assert ask(server, key, 1_400, "gpt-3.5-turbo").code == "rate_limit_exceeded"
    assert (embedded.status, embedded.headers["x-ratelimit-limit-tokens"]) == (200, "5000")
    assert embedded.headers["x-ratelimit-limit-requests"] == "50"
    replies = [embed(1) for _ in range(50)]
    assert [reply.status for reply in replies] == [200] * 49 + [429]
    assert replies[-1].code == "rate_limit_exceeded"


def test_a_tutor_has_a_limit_of_their_own(server: Server) -> None:
    """A member's own limit of the same kind stands in place of the group's, until it is taken away."""
    key = key_of_new_member(server, "tutor", each=["$0.002/month"])
    shell = Shell(server)
    use_up(server, key)

    shell.run("member", "edit", "tutor/tutor-1", "--limits", "$0.01/month")

    assert list(limits_of(server, key)) == ["$0.01/month"]
    assert ask(server, key).status == 200
    shell.run("member", "edit", "tutor/tutor-1", "--unset", "limits")
    assert ask(server, key).code == "insufficient_quota"


def test_a_limit_lowered_below_what_is_used_refuses_until_its_window_ends(server: Server) -> None:
    key = key_of_new_member(server, "lowered", each=["$0.01/month"])
    assert ask(server, key).status == 200
    shell = Shell(server)

    shell.run("group", "edit", "lowered", "--each", "$0.0005/month")

    refused = ask(server, key, 10)
    assert (refused.status, refused.code) == (429, "insufficient_quota")
    assert limits_of(server, key)["$0.0005/month"]["remaining"] == 0
    shell.run("group", "edit", "lowered", "--each", "$0.01/month")
    assert ask(server, key, 10).status == 200


def test_a_limit_added_in_mid_month_counts_what_was_spent(server: Server) -> None:
    key = key_of_new_member(server, "added", each=["$0.01/month"])
    assert ask(server, key).status == 200

    Shell(server).run(
        *("group", "edit", "added", "--each", "$0.01/month"),
        *("--each", "$0.001/month on gpt-4o-mini", "--each", "$0.001 total"),
    )

    limits = limits_of(server, key)
    used = limits["$0.01/month"]["used"]
    assert used > 0.0006
    assert limits["$0.001/month on gpt-4o-mini"]["used"] == used
    assert limits["$0.001 total"]["used"] == used
    assert limits["$0.001 total"]["resets_at"] is None


def test_what_somebody_can_do_now_and_when_it_renews_is_one_call(server: Server) -> None:
    """For staff and for the holder: every limit with used, reserved, remaining and resets_at."""
    key = key_of_new_member(
        server,
        "now",
        each=["$0.01/day", "$0.02/month", "35 requests/minute", "$1 total"],
        key={"limits": ["5 requests/day"]},
    )
    member = server.made("GET", "/groups/now/members")["data"][0]["id"]
    server.made("POST", f"/members/{member}/grants", {"amount_usd": 0.005})
    assert ask(server, key, 10).status == 200

    mine, theirs = limits_of(server, key), server.made("GET", f"/members/{member}")["in_force"]

    assert set(mine) == {
        "$0.01/day",
        "$0.02/month",
        "35 requests/minute",
        "$1 total",
        "5 requests/day",
    }
    for one in theirs:
        assert mine[one["limit"]] == one
    for limit, most in (("$0.01/day", 0.015), ("$0.02/month", 0.025), ("$1 total", 1.005)):
        state = mine[limit]
        assert state["used"] + state["reserved"] + state["remaining"] == pytest.approx(most)
        assert (state["resets_at"] is None) == (limit == "$1 total")
    assert mine["5 requests/day"]["remaining"] == 4
