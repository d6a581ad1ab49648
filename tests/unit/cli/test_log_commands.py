"""What a group keeps, said by options; and reading it, escaped for the terminal."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, FakeServer

BODY: dict[str, Any] = {
    "id": "req_1",
    "at": "2026-11-24T10:00:00Z",
    "group": "grp_1",
    "member": "mem_1",
    "endpoint": "chat.completions",
    "is_flagged": True,
    "http_status": 200,
    "request": {"messages": [{"role": "user", "content": "ev\u202eil\u001b[2J Grüße"}]},
    "reply": "no\u0007 JSON",
    "request_bytes": 90,
    "reply_bytes": 9,
    "is_cut": True,
}


def test_what_is_kept_is_said_by_options_of_the_same_name(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP, 201)

    result = run(
        *("group", "create", "swa", "--logging", "flagged", "--logging-purpose", "appeals"),
        *("--logging-days", "7", "--logging-readers", "owner", "--logging-readers", "viewer"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert server.asked[0].body == {
        "name": "swa",
        "logging": {
            "bodies": "flagged",
            "days": 7,
            "purpose": "appeals",
            "readers": ["owner", "viewer"],
        },
    }


def test_of_the_field_what_is_not_named_stays(run: Run, server: FakeServer) -> None:
    before = {"bodies": "all", "days": 30, "purpose": "exams", "readers": ["owner"]}
    server.will_answer({**GROUP, "logging": before})
    server.will_answer({**GROUP, "logging": {**before, "days": 7}})

    result = run("group", "edit", "swa", "--logging-days", "7", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert [one.method for one in server.asked] == ["GET", "PATCH"]
    assert server.asked[1].body == {"logging": {**before, "days": 7}}
    assert "all, 7 days, for exams; read by owner" in result.stdout


def test_the_field_goes_back_to_nothing(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP)

    result = run("group", "edit", "swa", "--unset", "logging", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert server.asked[-1].body == {"logging": None}


def test_a_body_is_shown_without_anything_that_a_terminal_obeys(
    run: Run, server: FakeServer
) -> None:
    """K13, P6"""
    server.will_answer(BODY)

    result = run("log", "body", "req_1", "--reason", "appeal", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    asked = server.asked[0]
    assert (asked.method, asked.target) == ("POST", "/api/v1/requests/req_1/body")
    assert asked.body == {"reason": "appeal"}
    assert "Grüße" in result.stdout
    assert not set("\u202e\u001b\u0007") & set(result.stdout)
    assert "cut off" in result.stdout


def test_a_body_as_json_and_without_a_reason(run: Run, server: FakeServer) -> None:
    server.will_answer(BODY)

    result = run(
        "log", "body", "req_1", "--reason", "x", "--json", environment=server.environment()
    )

    assert json.loads(result.stdout)["request"] == BODY["request"]
    assert run("log", "body", "req_1", environment=server.environment()).exit_code == 2
    assert run("log", "req_1", "nosuch", environment=server.environment()).exit_code == 2
