"""What `member grant` and `member grants` ask the server, and what they print."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, MEMBER, FakeServer, page

GRANT = {
    "id": "ent_1",
    "member": "mem_1",
    "amount_usd": 0.5,
    "until": "2026-12-31T23:00:00Z",
    "reason": "project week",
    "granted_at": "2026-11-24T06:00:00Z",
    "state": "active",
    "left": [{"limit": "$0.20/month", "left_usd": 0.3}, {"limit": "$1 total", "left_usd": 0.5}],
}


def test_a_member_is_granted_money(run: Run, server: FakeServer) -> None:
    server.will_answer(page(MEMBER)).will_answer(GRANT, 201).will_answer(MEMBER).will_answer(GROUP)

    result = run(
        *("member", "grant", "swa/4711", "--amount-usd", "$0.1", "--until", "2026-12-31"),
        *("--reason", "project week"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert (server.asked[1].method, server.asked[1].target) == (
        "POST",
        "/api/v1/members/mem_1/grants",
    )
    assert server.asked[1].body == {
        "amount_usd": 0.1,
        "until": "2026-12-31",
        "reason": "project week",
    }
    assert result.stdout == "Granted $0.10 to 1 member until 2027-01-01 00:00 Europe/Berlin.\n"


def test_a_class_is_granted_money_by_one_command(run: Run, server: FakeServer) -> None:
    server.will_answer({"data": [GRANT, GRANT]}, 201).will_answer(GROUP)
    server.will_answer({"data": [GRANT, GRANT]}, 201)

    everybody = run(
        *("member", "grant", "--group", "swa", "--all", "--amount-usd", "0.5"),
        environment=server.environment(),
    )
    some = run(
        *("member", "grant", "4711", "4712", "--group", "swa", "--amount-usd", "0.5", "--json"),
        environment=server.environment(),
    )

    sent = [asked for asked in server.asked if asked.method == "POST"]
    assert [asked.target for asked in sent] == ["/api/v1/groups/swa/grants"] * 2
    assert [asked.body for asked in sent] == [
        {"amount_usd": 0.5},
        {"amount_usd": 0.5, "members": ["4711", "4712"]},
    ]
    assert "to 2 members" in everybody.stdout
    assert len(json.loads(some.stdout)["data"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("swa/1", "swa/2"),
        ("swa/1", "--all"),
        ("--group", "swa"),
        ("--group", "swa", "--all", "1"),
        ("swa/1", "--amount-usd", "much"),
    ],
)
def test_it_has_to_be_said_who_gets_how_much(
    run: Run, server: FakeServer, arguments: tuple[str, ...]
) -> None:
    server.will_answer(GROUP)

    result = run(
        "member", "grant", "--amount-usd", "1", *arguments, environment=server.environment()
    )

    assert result.exit_code == 2
    assert server.asked == []


def test_grants_are_listed_with_what_is_left(run: Run, server: FakeServer) -> None:
    server.will_answer(page(GRANT))

    result = run("member", "grants", "mem_1", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert "$0.30 beyond $0.20/month, $0.50 beyond $1 total" in result.stdout


def test_a_group_is_told_what_to_carry_over(run: Run, server: FakeServer) -> None:
    server.will_answer({**GROUP, "carry_over": "$0.50"})

    result = run(
        *("group", "edit", "swa", "--carry-over", "$0.50"), environment=server.environment()
    )
    run(*("group", "edit", "swa", "--unset", "carry_over"), environment=server.environment())

    sent = [asked.body for asked in server.asked if asked.method == "PATCH"]
    assert sent == [{"carry_over": "$0.50"}, {"carry_over": None}]
    assert "carries over" in result.stdout


SHARED = {
    "limit": "$5/month", "scope": "group", "used": 4.5, "reserved": 0, "remaining": 0.5,
    "resets_at": "2026-11-30T23:00:00Z",
}  # fmt: skip


@pytest.mark.parametrize(
    ("in_force", "told"),
    [
        ([SHARED], "The limit $5/month that the group shares still holds: $0.50 left.\nGranted: $1.00 in all."),
        ([{**SHARED, "remaining": 1}], None),
        ([{**SHARED, "limit": "9 requests/day"}], None),
        ([{**SHARED, "scope": "workspace"}], "The limit $5/month that all groups share still holds: $0.50"),
        (
            [{"limit": "$5/month", "scope": "workspace", "state": "available"}],
            "The limit $5/month that all groups share still holds.",
        ),
    ],
)  # fmt: skip
def test_a_shared_limit_that_is_too_small_for_a_grant_is_told(
    run: Run, server: FakeServer, in_force: list[dict[str, object]], told: str | None
) -> None:
    """M1: no grant lifts it."""
    server.will_answer({"data": [GRANT, GRANT]}, 201).will_answer({**GROUP, "in_force": in_force})

    result = run(
        *("member", "grant", "--group", "swa", "--all", "--amount-usd", "0.5"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert (told or "") in result.stderr
    assert ("still holds" in result.stderr) is (told is not None)
