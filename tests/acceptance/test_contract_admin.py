"""The admin API of a running server against the contract: every call, every shape, field by field."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from tests.acceptance.conftest import NewKey, client_of
from tests.support.processes import ADMIN_TOKEN, COMMAND, Server, call, clean_environment

GROUP = {
    "id", "name", "title", "time_zone", "models", "endpoints", "tools", "each", "shared", "carry_over",
    "max_output_tokens", "min_output_tokens", "patience_s", "on_disconnect", "unknown_parameters", "provider_storage",
    "objects", "show_shared", "self_rotate", "moderation", "logging", "log_days", "state", "in_force",
    "worst_case", "rules", "strikes", "pseudonyms",  # beyond the contract
}  # fmt: skip
MEMBER = {
    "id", "group", "external_id", "name", "email", "limits", "models", "endpoints", "max_output_tokens", "state",
    "in_force", "pseudonymous",
}  # fmt: skip
KEY = {
    "id", "member", "name", "last4", "limits", "models", "endpoints", "max_output_tokens", "tags", "expires_at",
    "last_used_at", "state", "in_force",
    "taken_from",  # beyond the contract
}  # fmt: skip
LIMIT = {"limit", "scope", "used", "reserved", "remaining", "resets_at"}
REQUEST = {
    "id", "at", "member", "key", "group", "endpoint", "model", "status", "http_status", "input_tokens",
    "output_tokens", "cached_tokens", "cost_usd", "flags", "first_byte_ms", "duration_ms", "queue_ms", "upstream",
    "upstream_request_id", "tag", "repeats", "error",
    "network",  # beyond the contract
}  # fmt: skip
SUMS = {"requests", "input_tokens", "output_tokens", "cached_tokens", "cost_usd"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module")
def made(server: Server) -> dict[str, Any]:
    """A group, a member with limits of their own and a key that has called once."""
    group = server.made(
        "POST",
        "/groups",
        {
            "name": "contract",
            "title": "Software architecture",
            "time_zone": "Europe/Berlin",
            "each": ["$0.20/month", "35 requests/minute on gpt-4o-mini"],
            "shared": ["$50/month"],
        },
    )
    member = server.made(
        "POST", "/groups/contract/members", {"external_id": "4711", "limits": ["$2/month"]}
    )["data"][0]
    key = server.made(
        "POST",
        f"/members/{member['id']}/keys",
        {"name": "laptop", "limits": ["5 concurrent requests"], "tags": ["a"], "expires_at": None},
    )
    client_of(server, key["key"]).chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hello"}],
        extra_headers={"x-tuckshop-tag": "once"},
    )
    return {"group": group, "member": member, "key": key}


def test_a_group_is_read_as_it_was_sent_with_its_defaults(
    server: Server, made: dict[str, Any]
) -> None:
    group = server.made("GET", "/groups/contract")

    assert set(group) == GROUP
    assert group == server.made("GET", f"/groups/{made['group']['id']}")
    assert group["id"].startswith("grp_")
    assert (group["models"], group["tools"], group["carry_over"]) == (None, [], None)
    assert (group["min_output_tokens"], group["patience_s"], group["log_days"]) == (1024, 20, 400)
    assert (group["on_disconnect"], group["unknown_parameters"]) == ("drain", "refuse")
    assert (group["provider_storage"], group["objects"], group["state"]) == ("off", "own", "active")
    assert group["moderation"] == {"mode": "off", "fail": "closed", "thresholds": {}}
    assert group["logging"] == {"bodies": "off", "days": 30, "purpose": "", "readers": ["owner"]}
    assert [limit["limit"] for limit in group["in_force"]] == ["$50/month"]


def test_a_member_and_a_key_show_every_limit_in_force(server: Server, made: dict[str, Any]) -> None:
    member = server.made("GET", f"/members/{made['member']['id']}")
    key = server.made("GET", f"/keys/{made['key']['id']}")

    assert set(member) == MEMBER
    assert set(key) == KEY
    # The member's own limit stands in the place of the group's `each` of the same kind.
    assert {(limit["limit"], limit["scope"]) for limit in member["in_force"]} == {
        ("$2/month", "member"),
        ("35 requests/minute on gpt-4o-mini", "member"),
        ("$50/month", "group"),
    }
    assert ("5 concurrent requests", "key") in {(x["limit"], x["scope"]) for x in key["in_force"]}
    for limit in [*member["in_force"], *key["in_force"]]:
        assert set(limit) == LIMIT
        assert limit["resets_at"] is None or TIME.fullmatch(limit["resets_at"])
    money = next(limit for limit in member["in_force"] if limit["limit"] == "$2/month")
    assert money["used"] > 0
    assert money["remaining"] == pytest.approx(2 - money["used"] - money["reserved"])
    assert TIME.fullmatch(key["last_used_at"])


def test_a_key_is_shown_once_and_rotating_gives_another(server: Server, new_key: NewKey) -> None:
    secret = new_key()
    key_id = call("GET", f"{server.url}/api/v1/me", token=secret)[1]["key"]["id"]

    rotated = server.made("POST", f"/keys/{key_id}/rotate", {"overlap": "24h"})

    assert set(rotated) == KEY | {"key"}
    assert re.fullmatch(r"sk-tuck-[0-9A-Za-z]{40}", rotated["key"])
    assert rotated["last4"] == rotated["key"][-4:]
    assert set(server.made("GET", f"/keys/{key_id}")) == KEY
    for each in (secret, rotated["key"]):
        assert call("GET", f"{server.url}/api/v1/me", token=each)[0] == 200
    again = server.made("POST", f"/keys/{key_id}/rotate")
    assert call("GET", f"{server.url}/api/v1/me", token=rotated["key"])[0] == 401
    assert call("GET", f"{server.url}/api/v1/me", token=again["key"])[0] == 200


def test_a_row_of_the_log_and_the_sums_over_it(server: Server, made: dict[str, Any]) -> None:
    row = server.made("GET", "/requests?tag=once")["data"][0]

    assert set(row) == REQUEST
    assert row == server.made("GET", f"/requests/{row['id']}")
    assert (row["endpoint"], row["status"], row["http_status"]) == (
        "chat.completions",
        "settled",
        200,
    )
    assert (row["group"], row["member"], row["key"]) == tuple(
        made[name]["id"] for name in ("group", "member", "key")
    )
    for filters in ("group=contract", f"key={row['key']}", f"member={row['member']}"):
        for more in ("model=gpt-4o-mini", "endpoint=chat", "status=settled", "flagged=false"):
            found = server.made("GET", f"/requests?{filters}&{more}&limit=1")
            assert [line["id"] for line in found["data"]] == [row["id"]]
    by = "group,member,key,model,endpoint,day"
    sums = server.made("GET", f"/usage?by={by}&group=contract&time_zone=Europe/Berlin")["data"]
    assert set(sums[0]) == SUMS | set(by.split(","))
    assert sums[0]["cost_usd"] == row["cost_usd"]


def test_pages_meet_without_gap_or_overlap(server: Server, made: dict[str, Any]) -> None:
    roster = [{"external_id": f"p{number}"} for number in range(7)]
    server.made("POST", "/groups/contract/members", roster)
    seen: list[str] = []
    cursor = ""
    while True:
        page = server.made("GET", f"/groups/contract/members?limit=3{cursor}")
        assert set(page) == {"data", "next_cursor"}
        seen += [member["external_id"] for member in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == ["4711", *(f"p{number}" for number in range(7))]


def test_a_list_of_members_tells_rows_that_fail(server: Server, made: dict[str, Any]) -> None:
    rows = [
        {"external_id": "n1"},
        {"external_id": ""},
        {"external_id": "n1", "name": "N"},
        {"x": 1},
    ]

    status, roster = server.admin("POST", "/groups/contract/members?issue_keys=true", rows)

    assert status == 201
    assert [(m["external_id"], m["name"]) for m in roster["data"]] == [("n1", "N")]
    assert set(roster["data"][0]) == MEMBER | {"key"}
    assert [(e["line"], e["field"]) for e in roster["errors"]] == [(2, "external_id"), (4, "x")]
    assert all(set(error) == {"line", "field", "message"} for error in roster["errors"])


def test_null_unsets_absent_keeps_and_an_unknown_field_refuses_all(server: Server) -> None:
    server.made("POST", "/groups", {"name": "patched", "models": ["gpt-4o"], "patience_s": 5})

    status, problem = server.admin("PATCH", "/groups/patched", {"models": [], "colour": "red"})
    assert (status, problem["errors"][0]["field"]) == (422, "colour")
    assert server.made("PATCH", "/groups/patched", {})["models"] == ["gpt-4o"]
    after = server.made("PATCH", "/groups/patched", {"models": None, "title": "T"})
    assert (after["models"], after["title"], after["patience_s"]) == (None, "T", 5)
    assert server.made("PATCH", "/groups/patched", {"patience_s": None})["patience_s"] == 20


@pytest.mark.parametrize("kind", ["groups", "members", "keys"])
def test_every_verb_leads_where_it_says(server: Server, new_key: NewKey, kind: str) -> None:
    key_id = call("GET", f"{server.url}/api/v1/me", token=new_key())[1]["key"]["id"]
    key = server.made("GET", f"/keys/{key_id}")
    group = server.made("GET", f"/members/{key['member']}")["group"]
    path = f"/{kind}/" + {"groups": group, "members": key["member"], "keys": key_id}[kind]

    assert server.made("POST", f"{path}/pause")["state"] == "paused"
    assert server.made("POST", f"{path}/resume")["state"] == "active"
    assert server.made("POST", f"{path}/reset?total=true")["state"] == "active"
    if kind == "keys":
        assert server.made("POST", f"{path}/revoke")["state"] == "revoked"
    assert server.made("DELETE", path)["state"] == "archived"
    assert server.made("GET", path)["state"] == "archived"


def test_a_key_opens_me_and_nothing_else(server: Server, new_key: NewKey) -> None:
    """K4, K21: whatever the description lists."""
    key = new_key()
    document = call("GET", f"{server.url}/api/openapi.json")[1]
    for path, methods in document["paths"].items():
        if not path.startswith("/api/v1/"):
            continue
        for method in set(methods) & {"get", "post", "patch", "delete", "put"}:
            url = server.url + re.sub(r"\{\w+\}", "x", path)
            expected: tuple[int, int, int | None] = (401, 403, None)
            if path in ("/api/v1/me", "/api/v1/me/notice"):  # the notice names nobody but offices
                expected = (401, 200, 403)
            elif path.startswith(("/api/v1/claim", "/api/v1/appeal")):
                # The page's own call, whose credential is the link's secret.
                expected = (403, 403, 403)
            for token, status in zip((None, key, ADMIN_TOKEN), expected, strict=True):
                if status is not None:
                    answered, body = call(method.upper(), url, token=token)
                    assert answered == status, (method, path, body)
                    assert status == 200 or set(body) >= {"type", "title", "status", "detail"}


def test_me_shows_numbers_and_no_names(server: Server, made: dict[str, Any]) -> None:
    status, me = call("GET", f"{server.url}/api/v1/me", token=made["key"]["key"])

    assert status == 200
    assert set(me) == {"key", "group", "models", "endpoints", "limits", "usage", "privacy"}
    assert me["key"] == {"id": made["key"]["id"], "last4": made["key"]["last4"]}
    assert me["group"] == {"title": "Software architecture", "time_zone": "Europe/Berlin"}
    shared = next(limit for limit in me["limits"] if limit["scope"] == "group")
    assert shared == {"limit": "$50/month", "scope": "group", "state": "available"}
    assert all(set(x) == LIMIT for x in me["limits"] if x["scope"] in ("member", "key"))
    assert set(me["usage"]) == {"days", "models"}
    kept = {"bodies": "off", "days": 30, "purpose": "", "readers": ["owner"]}
    assert {name: me["privacy"][name] for name in kept} == kept
    assert "4711" not in str(me)
    assert "laptop" not in str(me)


def test_the_command_tells_what_is_refused_and_prints_nothing_a_terminal_obeys(
    server: Server,
) -> None:
    server.made("POST", "/groups", {"name": "printed"})
    server.made(
        "POST", "/groups/printed/members", {"external_id": "a\u202eb", "name": "=1+1|\u2066x"}
    )
    environment = clean_environment() | {
        "TUCKSHOP_URL": server.url,
        "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
    }

    def tuckshop(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(COMMAND), *arguments], capture_output=True, text=True, env=environment, timeout=30
        )

    for options in ((), ("--json",)):
        listed = tuckshop("member", "list", "--group", "printed", *options)
        assert listed.returncode == 0, listed.stderr
        assert r"\u202e" in listed.stdout
        assert not set("\u202e\u2066\x1b") & set(listed.stdout)
    refused = tuckshop("group", "show", "nobody")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "nobody" in refused.stderr
    assert tuckshop("group", "create").returncode == 2
    settings = tuckshop("config")
    assert settings.returncode == 0
    assert "TUCKSHOP_URL" in settings.stdout
    assert ADMIN_TOKEN not in settings.stdout


def test_the_server_says_whether_it_lives_and_can_serve(server: Server) -> None:
    assert call("GET", f"{server.url}/healthz") == (200, {"status": "ok"})
    assert call("GET", f"{server.url}/readyz") == (200, {"status": "ready"})
