"""What each command asks the server, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, KEY, MEMBER, ROW, STANDING, FakeServer, page

SECRET = "sk-tuck-" + "a" * 40


def test_options_are_named_like_the_fields(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP, 201)

    result = run(
        *("group", "create", "swa", "--title", "Software architecture"),
        *("--each", "$0.20/month", "--each", "35 requests/minute", "--shared", "$50/month"),
        *("--models", "gpt-4o-mini", "--models", "text-embedding-*", "--endpoints", "chat"),
        *("--time-zone", "Europe/Berlin", "--max-output-tokens", "2000"),
        *("--min-output-tokens", "512", "--patience-s", "0", "--on-disconnect", "cancel"),
        *("--unknown-parameters", "pass", "--show-shared"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert (server.asked[0].method, server.asked[0].target) == ("POST", "/api/v1/groups")
    assert server.asked[0].body == {
        "name": "swa",
        "title": "Software architecture",
        "time_zone": "Europe/Berlin",
        "each": ["$0.20/month", "35 requests/minute"],
        "shared": ["$50/month"],
        "models": ["gpt-4o-mini", "text-embedding-*"],
        "endpoints": ["chat"],
        "max_output_tokens": 2000,
        "min_output_tokens": 512,
        "patience_s": 0,
        "on_disconnect": "cancel",
        "unknown_parameters": "pass",
        "show_shared": True,
    }


def test_what_is_not_named_is_not_sent(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP)

    run("group", "edit", "swa", "--title", "", environment=server.environment())

    assert server.asked[-1].method == "PATCH"
    assert server.asked[-1].body == {"title": ""}


def test_a_field_can_be_unset_and_an_allow_list_emptied(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP)

    run(
        *("group", "edit", "swa", "--unset", "each", "--unset", "models", "--empty", "endpoints"),
        *("--no-show-shared", "--name", "swb"),
        environment=server.environment(),
    )

    assert server.asked[-1].body == {
        "name": "swb",
        "show_shared": False,
        "each": None,
        "models": None,
        "endpoints": [],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("group", "edit", "swa"),
        ("group", "edit", "swa", "--models", "a", "--unset", "models"),
        ("group", "edit", "swa", "--unset", "models", "--empty", "models"),
        ("group", "edit", "swa", "--unset", "state"),
        ("group", "create"),
        ("group", "list", "--state", "gone"),
        ("member", "create", "--group", "swa"),
        ("member", "create", "4711"),
        ("member", "create", "4711", "4712", "--group", "swa", "--name", "Ada"),
        ("member", "show", "swa/"),
        ("key", "create"),
        ("key", "show", "laptop"),
        ("log", "req_1", "--group", "swa"),
        ("log", "--limit", "0"),
        ("nonsense",),
    ],
)
def test_wrong_use_is_status_2_and_changes_nothing(
    run: Run, server: FakeServer, arguments: tuple[str, ...]
) -> None:
    server.will_answer({}, 500)

    result = run(*arguments, environment=server.environment())

    assert result.exit_code == 2, result.output
    assert result.stderr
    assert server.asked == []


def test_a_group_without_a_limit_on_money_is_pointed_out(run: Run, server: FakeServer) -> None:
    endless = {"members": 3, "bounds": [], "sentence": "3 members: no limit on money"}
    server.will_answer({**GROUP, "worst_case": endless}, 201)

    result = run("group", "create", "swa", environment=server.environment())

    assert "3 members: no limit on money.\nMend it: tuckshop group edit swa --each" in result.stderr


def test_the_worst_case_is_said(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP, 201)

    result = run("group", "create", "swa", environment=server.environment())

    assert "100 members: at most $20.00 a month; renews 1 Dec 00:00" in result.stdout


def test_a_group_is_shown_with_what_is_left(run: Run, server: FakeServer) -> None:
    server.will_answer({**GROUP, "in_force": [{**STANDING, "scope": "group"}]})

    result = run("group", "show", "swa", environment=server.environment())

    assert "swa  Software architecture" in result.stdout
    assert "$0.20/month (shared by the group): $0.013 used" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "method", "target", "body"),
    [
        (("group", "pause", "swa"), "POST", "/groups/swa/pause", None),
        (("group", "resume", "swa"), "POST", "/groups/swa/resume", None),
        (("group", "archive", "swa"), "DELETE", "/groups/swa", None),
        (("group", "reset", "swa"), "POST", "/groups/swa/reset", {"what": "all"}),
        (
            ("group", "reset", "swa", "--what", "each", "--total"),
            "POST",
            "/groups/swa/reset?total=true",
            {"what": "each"},
        ),
    ],
)
def test_group_verbs(
    run: Run,
    server: FakeServer,
    arguments: tuple[str, ...],
    method: str,
    target: str,
    body: object,
) -> None:
    server.will_answer(GROUP)

    result = run(*arguments, "--json", environment=server.environment())

    asked = server.asked[0]
    assert (asked.method, asked.target, asked.body) == (method, "/api/v1" + target, body)
    assert json.loads(result.stdout) == GROUP


def test_members_are_added_in_one_call_with_keys(run: Run, server: FakeServer) -> None:
    rows = [MEMBER | {"key": SECRET}, MEMBER | {"id": "mem_2", "external_id": "4712"}]
    server.will_answer({"data": rows, "errors": []}, 201)

    result = run(
        *("member", "create", "4711", "4712", "--group", "swa", "--issue-keys"),
        *("--limits", "$2/month"),
        environment=server.environment(),
    )

    assert server.asked[0].target == "/api/v1/groups/swa/members?issue_keys=true"
    assert server.asked[0].body == [
        {"external_id": "4711", "limits": ["$2/month"]},
        {"external_id": "4712", "limits": ["$2/month"]},
    ]
    assert SECRET in result.stdout
    assert "(has one)" in result.stdout
    assert "only now" in result.stderr


def test_a_row_that_fails_is_told_and_the_others_are_shown(run: Run, server: FakeServer) -> None:
    error = {"line": 2, "field": "external_id", "message": "is empty"}
    server.will_answer({"data": [MEMBER], "errors": [error]}, 201)

    result = run(
        "member", "create", "4711", " ", "--group", "swa", environment=server.environment()
    )

    assert result.exit_code == 1
    assert "4711" in result.stdout
    assert "external_id: is empty" in result.stderr


def test_a_member_is_found_by_group_and_external_id(run: Run, server: FakeServer) -> None:
    server.will_answer(page(MEMBER)).will_answer(MEMBER)

    result = run("member", "show", "swa/a/b@c.d", environment=server.environment())

    assert server.asked[0].target == (
        "/api/v1/groups/swa/members?external_id=a%2Fb%40c.d&state=all&limit=1"
    )
    assert server.asked[1].target == "/api/v1/members/mem_1"
    assert "$0.185 left; renews 2026-11-30 23:00 UTC" in result.stdout


def test_a_member_who_is_not_there_is_told(run: Run, server: FakeServer) -> None:
    server.will_answer(page())

    result = run("member", "show", "swa/4799", environment=server.environment())

    assert result.exit_code == 1
    assert "no member '4799' in the group 'swa'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "method", "target", "body"),
    [
        (("pause", "mem_1"), "POST", "/members/mem_1/pause", None),
        (("resume", "mem_1"), "POST", "/members/mem_1/resume", None),
        (("reset", "mem_1"), "POST", "/members/mem_1/reset", None),
        (("reset", "mem_1", "--total"), "POST", "/members/mem_1/reset?total=true", None),
        (("archive", "mem_1"), "DELETE", "/members/mem_1", None),
        (("edit", "mem_1", "--unset", "limits"), "PATCH", "/members/mem_1", {"limits": None}),
        (("edit", "mem_1", "--email", "a@b.c"), "PATCH", "/members/mem_1", {"email": "a@b.c"}),
    ],
)
def test_member_verbs(
    run: Run, server: FakeServer, arguments: tuple[str, ...], method: str, target: str, body: object
) -> None:
    server.will_answer(MEMBER)

    result = run("member", *arguments, "--json", environment=server.environment())

    asked = server.asked[-1]
    assert (asked.method, asked.target, asked.body) == (method, "/api/v1" + target, body)
    assert json.loads(result.stdout) == MEMBER


def test_members_are_listed_with_the_nearest_money_limit(run: Run, server: FakeServer) -> None:
    server.will_answer(page(MEMBER)).will_answer(page(GROUP))

    result = run("member", "list", "--group", "swa", "--q", "Ada", environment=server.environment())

    assert server.asked[0].target == "/api/v1/groups/swa/members?q=Ada&limit=200"
    line = result.stdout.splitlines()[1]
    assert line.split() == ["swa", "4711", "Ada", "active", "$0.013", "$0.20/month", "mem_1"]


def test_an_issued_key_stands_alone_on_standard_output(run: Run, server: FakeServer) -> None:
    server.will_answer(MEMBER).will_answer(GROUP).will_answer(KEY | {"key": SECRET}, 201)

    result = run(
        *("key", "create", "--member", "mem_1", "--name", "laptop", "--limits", "$0.05/day"),
        *("--tags", "ci", "--expires-at", "2026-12-31"),
        environment=server.environment(),
    )

    assert result.stdout == SECRET + "\n"
    assert "key_1" in result.stderr
    assert server.asked[2].target == "/api/v1/members/mem_1/keys"
    assert server.asked[2].body == {
        "name": "laptop",
        "limits": ["$0.05/day"],
        "tags": ["ci"],
        "expires_at": "2026-12-31T23:00:00Z",  # the end of that day in Berlin
    }


@pytest.mark.parametrize(
    ("arguments", "method", "target", "body"),
    [
        (("show", "key_1"), "GET", "/keys/key_1", None),
        (("pause", "key_1"), "POST", "/keys/key_1/pause", None),
        (("resume", "key_1"), "POST", "/keys/key_1/resume", None),
        (("reset", "key_1"), "POST", "/keys/key_1/reset", None),
        (("revoke", "key_1"), "POST", "/keys/key_1/revoke", None),
        (("archive", "key_1"), "POST", "/keys/key_1/archive", None),
        (("rotate", "key_1"), "POST", "/keys/key_1/rotate", {}),
        (
            ("rotate", "key_1", "--overlap", "24h"),
            "POST",
            "/keys/key_1/rotate",
            {"overlap": "24h"},
        ),
        (
            ("edit", "key_1", "--unset", "expires_at", "--models", "gpt-4o-mini"),
            "PATCH",
            "/keys/key_1",
            {"models": ["gpt-4o-mini"], "expires_at": None},
        ),
    ],
)
def test_key_verbs(
    run: Run, server: FakeServer, arguments: tuple[str, ...], method: str, target: str, body: object
) -> None:
    answer: dict[str, Any] = KEY | ({"key": SECRET} if "rotate" in arguments else {})
    server.will_answer(answer)

    result = run("key", *arguments, "--json", environment=server.environment())

    asked = server.asked[-1]
    assert (asked.method, asked.target, asked.body) == (method, "/api/v1" + target, body)
    assert json.loads(result.stdout) == answer


def test_a_secret_is_no_name_for_a_key(run: Run, server: FakeServer) -> None:
    result = run("key", "show", SECRET, environment=server.environment())

    assert result.exit_code == 1
    assert SECRET not in result.stderr
    assert server.asked == []


def test_keys_are_listed_by_their_last_four(run: Run, server: FakeServer) -> None:
    server.will_answer(page(KEY)).will_answer(page(GROUP)).will_answer(MEMBER)

    result = run(
        "key", "list", "--group", "swa", "--state", "active", environment=server.environment()
    )

    assert server.asked[0].target == "/api/v1/keys?group=swa&state=active&limit=200"
    assert "…wxyz" in result.stdout
    assert "swa/4711" in result.stdout


def test_the_log_takes_the_filters_of_the_api(run: Run, server: FakeServer) -> None:
    server.will_answer(page(ROW)).will_answer(page(GROUP)).will_answer(MEMBER)

    result = run(
        *("log", "--group", "swa", "--member", "mem_1", "--key", "key_1", "--model", "gpt-4o-mini"),
        *("--endpoint", "chat", "--status", "settled", "--tag", "t", "--since", "2026-11-01"),
        *("--until", "2026-12-01", "--limit", "7"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert server.asked[0].target == (
        "/api/v1/requests?member=mem_1&group=swa&key=key_1&model=gpt-4o-mini&endpoint=chat"
        "&status=settled&tag=t&since=2026-11-01&until=2026-12-01&limit=7"
    )
    assert "$0.000022201" in result.stdout
    assert "clamped" in result.stdout
    assert "swa/4711" in result.stdout


def test_the_log_follows_pages_only_to_its_limit(run: Run, server: FakeServer) -> None:
    server.will_answer(page(*[ROW] * 200, cursor="a")).will_answer(page(*[ROW] * 50, cursor="b"))

    result = run("log", "--limit", "250", "--json", environment=server.environment())

    assert len(json.loads(result.stdout)["data"]) == 250
    assert [one.target for one in server.asked] == [
        "/api/v1/requests?limit=200",
        "/api/v1/requests?cursor=a&limit=50",
    ]


def test_one_request_is_shown_whole(run: Run, server: FakeServer) -> None:
    server.will_answer(ROW)

    result = run("log", "req_1", environment=server.environment())

    assert server.asked[0].target == "/api/v1/requests/req_1"
    assert "output tokens" in result.stdout
    assert "$0.000022201" in result.stdout


def test_usage_is_summed_up(run: Run, server: FakeServer) -> None:
    counts = {"requests": 2, "input_tokens": 1000, "output_tokens": 20, "cached_tokens": 0}
    rows = [
        {"model": "gpt-4o-mini", "day": "2026-11-23", **counts, "cost_usd": 0.1},
        {"model": "gpt-4o-mini", "day": "2026-11-24", **counts, "cost_usd": 0.2},
    ]
    server.will_answer({"data": rows, "time_zone": "UTC", "next_cursor": None})

    result = run(
        *("usage", "--by", "model", "--by", "day", "--group", "swa"),
        environment=server.environment(),
    )

    assert server.asked[0].target == "/api/v1/usage?by=model%2Cday&group=swa"
    total = result.stdout.splitlines()[-1].split()
    assert total == ["total", "4", "2,000", "0", "40", "$0.30"]


def test_no_use_is_told(run: Run, server: FakeServer) -> None:
    server.will_answer({"data": [], "time_zone": "UTC", "next_cursor": None})

    result = run("usage", environment=server.environment())

    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nothing was used" in result.stderr


def test_people_are_named_in_usage(run: Run, server: FakeServer) -> None:
    counts = {"requests": 2, "input_tokens": 1000, "output_tokens": 20, "cached_tokens": 0}
    rows = [{"group": "grp_1", "member": "mem_1", **counts, "cost_usd": 0.1}]
    server.will_answer({"data": rows, "time_zone": "UTC", "next_cursor": None})
    server.will_answer(page(GROUP)).will_answer(MEMBER)

    result = run("usage", "--by", "group,member", environment=server.environment())

    assert result.stdout.splitlines()[1].split()[:2] == ["swa", "swa/4711"]


BUDGET = "At the pace of the last 7 days ($3.00 a day) the $50/month of all ends on 21 Nov, 9 days before it renews."
LINE = {
    "member": "mem_1", "external_id": "4711", "name": "Ada", "requests": 2, "input_tokens": 1000,
    "output_tokens": 20, "cached_tokens": 0, "cost_usd": 0.1, "guessed_usd": 0.04,
}  # fmt: skip
TOTAL = {
    name: value for name, value in LINE.items() if name not in ("member", "external_id", "name")
}
STATEMENT = {
    "month": "2026-11", "time_zone": "Europe/Berlin", "is_over": False, "data": [LINE],
    "total": {**TOTAL, "guessed_requests": 1}, "grants": [], "corrections": [],
}  # fmt: skip


def test_a_forecast_is_told_in_sentences(run: Run, server: FakeServer) -> None:
    server.will_answer({"data": [{"sentence": BUDGET}], "time_zone": "UTC", "next_cursor": None})

    result = run("usage", "forecast", "--group", "swa", environment=server.environment())

    assert server.asked[0].target == "/api/v1/groups/swa/forecast"
    assert result.stdout == f"{BUDGET}\n"


def test_a_statement_is_shown_with_what_is_not_sure_in_it(run: Run, server: FakeServer) -> None:
    server.will_answer(STATEMENT)

    result = run(
        *("usage", "statement", "--group", "swa", "--month", "2026-11"),
        environment=server.environment(),
    )

    assert server.asked[0].target == "/api/v1/groups/swa/statement?month=2026-11"
    assert result.stdout.splitlines()[-1].split() == ["total", "2", "1,000", "0", "20", "$0.10"]
    assert "1 call charged without a usage to rely on: $0.04" in result.stderr
    assert "Not final" in result.stderr


def test_a_statement_is_written_once_into_a_private_file(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    file = tmp_path / "swa.html"
    command = ("usage", "statement", "--group", "swa", "--out", str(file))
    server.will_answer({"detail": "There is no such group."}, 404)

    assert run(*command, environment=server.environment()).exit_code == 1
    assert not file.exists()

    file.write_text("mine")
    result = run(*command, environment=server.environment())

    assert (result.exit_code, file.read_text()) == (1, "mine")
    assert "is there already" in result.stderr
    other = run("usage", "statement", "--group", "swa", "--out", "swa.pdf")
    assert other.exit_code == 2


def test_options_of_usage_do_not_vanish_before_a_subcommand(run: Run) -> None:
    result = run("usage", "--group", "swa", "forecast", "--group", "swa")

    assert result.exit_code == 2


def test_the_doctor_tells_a_setting_that_cannot_be_read_and_exits_1(run: Run) -> None:
    result = run("doctor", "--json", environment={"TUCKSHOP_PROT": "1"})

    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert not answer["healthy"]
    assert "did you mean" in answer["findings"][0]["what"]


def test_the_doctor_says_how_to_mend(run: Run) -> None:
    result = run("doctor")

    assert result.exit_code == 1
    assert "bad     data folder" in result.stdout
    assert "→ set TUCKSHOP_DATA" in result.stdout
    assert "1 to be mended" in result.stderr


def test_an_accepted_clock_is_told(run: Run, server: FakeServer) -> None:
    server.will_answer({"latest_before": "2026-11-26T10:00:00Z", "now": "2026-11-24T10:00:00Z"})

    result = run("clock", "accept", environment=server.environment())

    assert (server.asked[0].method, server.asked[0].target) == ("POST", "/api/v1/clock/accept")
    assert "goes on at 2026-11-24 10:00 UTC" in result.stderr
    assert "2026-11-26 10:00 UTC" in result.stderr


CORRECTIONS: dict[str, Any] = {
    "dry_run": True,
    "calls": 1,
    "charged_usd": 0.2,
    "to_usd": 0.05,
    "data": [
        {
            "request": "req_1",
            "at": "2026-11-24T10:00:00Z",
            "member": "mem_1",
            "charged_usd": 0.2,
            "to_usd": 0.05,
        }
    ],
}
CORRECT = (
    "correct",
    "--unconfirmed",
    "--since",
    "2026-11-24",
    "--to",
    "$0.05",
    "--reason",
    "crash",
)


def test_a_correction_is_told_before_it_is_posted(run: Run, server: FakeServer) -> None:
    server.will_answer(CORRECTIONS).will_answer(CORRECTIONS | {"dry_run": False})

    result = run(*CORRECT, "--group", "swa", "--yes", "--json", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    dry, posted = (asked.body for asked in server.asked)
    assert dry == {
        "unconfirmed": True,
        "since": "2026-11-24",
        "to_usd": 0.05,
        "reason": "crash",
        "group": "swa",
    }
    assert posted == dry | {"dry_run": False, "calls": 1}
    assert not json.loads(result.stdout)["dry_run"]


def test_a_dry_run_posts_nothing(run: Run, server: FakeServer) -> None:
    server.will_answer(CORRECTIONS).will_answer(page(GROUP)).will_answer(MEMBER)

    result = run(*CORRECT, "--dry-run", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert [asked.method for asked in server.asked] == ["POST", "GET", "GET"]
    assert "$0.20" in result.stdout
    assert "1 calls, charged $0.20, to $0.05" in result.stderr


def test_without_somebody_to_ask_nothing_is_posted(run: Run, server: FakeServer) -> None:
    server.will_answer(CORRECTIONS)

    result = run(*CORRECT, "--json", environment=server.environment())

    assert result.exit_code == 1
    assert "--yes" in result.stderr
    assert len(server.asked) == 1


def test_an_amount_that_is_none_is_a_usage_error(run: Run, server: FakeServer) -> None:
    for amount in ("cheap", ""):
        arguments = [amount if argument == "$0.05" else argument for argument in CORRECT]
        assert run(*arguments, environment=server.environment()).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        (("group", "edit", "swa", "--title", "x"), GROUP),
        (("group", "edit", "swa", "--rules-max-input-tokens", "400"), GROUP),
        (("member", "edit", "mem_1", "--name", "x"), MEMBER),
        (("key", "edit", "key_1", "--name", "x"), KEY),
    ],
)
def test_an_edit_is_based_on_what_was_read_and_undoes_nobodys(
    run: Run, server: FakeServer, arguments: tuple[str, ...], shape: dict[str, Any]
) -> None:
    """Of two edits at once none is lost: the later one says who was before it, and that it did nothing."""
    said = "It was changed since you read it, last by token:tok_2: group.change (rules) at 10:00."
    stale = f"{said} Read it again, and send the change with the ETag that it has now."
    server.will_answer(shape, etag='"v1"').will_answer({"detail": stale}, 412)

    result = run(*arguments, environment=server.environment())

    assert [one.method for one in server.asked] == ["GET", "PATCH"]
    assert server.asked[1].version == '"v1"'
    assert result.exit_code == 1
    assert said in result.stderr
    assert "run this again" in result.stderr
    assert "ETag" not in result.stderr


GRANTED = {
    "at": "2026-11-24T06:00:00Z", "member": "mem_1", "external_id": "4711", "name": "Ada", "amount_usd": 0.5,
    "until": "2026-12-31T23:00:00Z", "reason": "project week",
}  # fmt: skip


def test_a_statement_tells_grants_and_corrections_by_name_on_the_groups_clocks(
    run: Run, server: FakeServer
) -> None:
    to_some = [{**GRANTED, "member": f"mem_{n}", "at": f"2026-11-24T06:00:0{n}Z"} for n in range(3)]
    to_one = {**GRANTED, "reason": "illness", "until": None}
    corrected = {
        "at": "2026-11-24T23:30:00Z", "request": "req_1", "member": "mem_1", "external_id": "4711", "name": "Ada",
        "cost_usd": -0.5, "reason": "bill",
    }  # fmt: skip
    server.will_answer(STATEMENT | {"grants": [*to_some, to_one], "corrections": [corrected]})

    out = run("usage", "statement", "--group", "swa", environment=server.environment()).stdout

    assert "mem_1" not in out
    assert "Z " not in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "2026-11-24 07:00 3 members $0.50 2027-01-01 00:00 project week" in lines
    assert "2026-11-24 07:00 4711 Ada $0.50 illness" in lines
    assert "2026-11-25 00:30 4711 Ada -$0.50 bill req_1" in lines


@pytest.mark.parametrize("said", ["4711", "swa/4711", "004711"])
def test_a_member_who_is_not_there_is_looked_for_elsewhere(
    run: Run, server: FakeServer, said: str
) -> None:
    """A spreadsheet eats leading zeros, and people leave the group out."""
    if "/" in said:
        server.will_answer(page())
    elsewhere = {**MEMBER, "external_id": "04711", "group": "grp_2"}
    other = {**MEMBER, "external_id": "14711"}
    server.will_answer(page(elsewhere, other))
    server.will_answer(page(GROUP, {**GROUP, "id": "grp_2", "name": "swb"}))

    result = run("member", "show", said, environment=server.environment())

    assert result.exit_code == (1 if "/" in said else 2)
    assert "Did you mean swb/04711?" in result.stderr
    assert "14711" not in result.stderr


def test_of_nobody_alike_nothing_is_asked(run: Run, server: FakeServer) -> None:
    server.will_answer(page())

    result = run("member", "show", "4711", environment=server.environment())

    assert result.exit_code == 2
    assert "mem_… or GROUP/EXTERNAL_ID" in result.stderr
    assert "Did you mean" not in result.stderr


def test_issuing_is_helped_in_its_own_words(run: Run, server: FakeServer) -> None:
    result = run("key", "issue", "--help", environment=server.environment())

    assert "tuckshop key issue --member swa/4711" in result.stdout
    assert "key create" not in result.stdout
