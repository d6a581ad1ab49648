"""`tuckshop flags` against a fake server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, FakeServer

FLAG: dict[str, Any] = {
    "id": "flg_06f1z8c2v5h4kq9t3m7xn2yd",
    "at": "2026-11-23T10:00:00Z",
    "last_at": "2026-11-24T11:30:00Z",
    "repeats": 3,
    "group": "grp_1",
    "member": "mem_1",
    "key": "key_1",
    "request": "req_1",
    "source": "moderation",
    "action": "blocked",
    "reasons": ["violence", "harassment"],
    "scores": {"violence": 0.934, "harassment": 0.5},
    "own": True,
    "state": "open",
    "paused": "mem_1",
    "resolved_by": None,
    "resolved_at": None,
    "reason": None,
    "appealed_at": None,
}
MEMBER = {"id": "mem_1", "group": "grp_1", "external_id": "4711", "name": "Ada"}
NAMES = ({"data": [GROUP], "next_cursor": None}, MEMBER)


def lay(server: FakeServer, *answers: object) -> None:
    for answer in answers:
        server.will_answer(answer)


def test_flags_are_listed_with_what_is_needed_to_look_closer(run: Run, server: FakeServer) -> None:
    lay(server, {"data": [FLAG], "next_cursor": None}, *NAMES)

    result = run("flags", "--group", "swa", "--state", "open", environment=server.environment())

    assert result.exit_code == 0, result.output
    assert server.asked[0].target == "/api/v1/moderation/flags?group=swa&state=open&limit=50"
    assert result.output.splitlines()[1].split() == [
        *(FLAG["id"], "2026-11-24", "11:30", "swa/4711", "violence,", "harassment"),
        *("3", "blocked", "open"),
    ]


def test_a_flag_is_shown_with_its_scores_and_calls_and_what_to_do_next(
    run: Run, server: FakeServer
) -> None:
    said = {"at": "2026-11-24T12:00:00Z", "by": "member:mem_1", "reason": "It was\na quotation."}
    lay(server, {**FLAG, "requests": ["req_3", "req_1"], "appeals": [said]}, *NAMES)

    result = run("flags", "show", FLAG["id"], environment=server.environment())

    assert result.exit_code == 0, result.output
    assert "violence 0.93, harassment 0.50" in result.output
    assert "swa/4711  mem_1" in result.output
    assert "req_3 req_1" in result.output
    assert (
        "Appeal of 2026-11-24 12:00 UTC, by member:mem_1\n  It was\n  a quotation.\n"
        in result.output
    )
    assert f"tuckshop flags resolve {FLAG['id']} --state upheld" in result.output


def test_a_flag_is_resolved_with_a_reason(run: Run, server: FakeServer) -> None:
    lay(
        server,
        {**FLAG, "requests": [], "appeals": [], "state": "dismissed", "reason": "week 3"},
        *NAMES,
    )
    words = ("--state", "dismissed", "--reason", "week 3", "--resume")

    result = run("flags", "resolve", FLAG["id"], *words, environment=server.environment())

    assert result.exit_code == 0, result.output
    asked = server.asked[0]
    assert (asked.method, asked.target) == (
        "POST",
        f"/api/v1/moderation/flags/{FLAG['id']}/resolve",
    )
    assert asked.body == {"state": "dismissed", "reason": "week 3", "resume": True}
    assert "Say whether it stands" not in result.output


@pytest.mark.parametrize("left_out", ["--state", "--reason"])
def test_a_flag_is_not_resolved_without_saying_what_and_why(
    run: Run, server: FakeServer, left_out: str
) -> None:
    words = {"--state": "upheld", "--reason": "seen"}
    del words[left_out]
    chosen = [word for pair in words.items() for word in pair]

    result = run("flags", "resolve", FLAG["id"], *chosen, environment=server.environment())

    assert result.exit_code == 2
    assert left_out in result.output
    assert not server.asked


def test_strikes_are_said_in_one_option(run: Run, server: FakeServer) -> None:
    strikes = {"count": 3, "days": 30, "pause": "member"}
    lay(server, {**GROUP, "strikes": strikes})

    result = run(
        "group", "edit", "swa", "--strikes", "3", "30", "member", environment=server.environment()
    )

    assert result.exit_code == 0, result.output
    assert server.asked[-1].body == {"strikes": strikes}
    assert "3 in 30 days: the member is paused" in result.output


def test_who_tells_the_member_and_what_to_do_next(run: Run, server: FakeServer) -> None:
    """K16: not without a reason."""
    whose = {
        "member": "mem_1", "group": "grp_1", "group_name": "swa", "external_id": "4711", "name": "Ada", "email": None,
        "state": "active",
    }  # fmt: skip
    lay(server, whose)

    result = run("who", "0" * 64, "--reason", "a warning", environment=server.environment())
    without = run("who", "0" * 64, environment=server.environment())

    assert result.exit_code == 0, result.output
    assert server.asked[0].body == {"pseudonym": "0" * 64, "reason": "a warning"}
    assert server.asked[0].target == "/api/v1/who", "what is asked for stands in no URL"
    assert "swa/4711" in result.output
    assert "tuckshop member pause mem_1" in result.output
    assert without.exit_code == 2
    assert len(server.asked) == 1
