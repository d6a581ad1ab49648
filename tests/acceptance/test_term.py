"""
A whole winter term from outside: two months, a change to winter time, a year's end, a clock set back.

One data folder, the real command, and the server started anew at each date under a false clock. After each date
`tuckshop verify` recomputes every sum; at the end the provider's own bill agrees to the nano-dollar.
"""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.false_clock import start_at, stop
from tests.support.http import Reply, post
from tests.support.oracle import read_bill
from tests.support.processes import Mock, Server, call, start_mock
from tests.support.shell import Shell

pytestmark = pytest.mark.long

ROSTER: Final = "Vorname;Nachname;Matrikelnummer\r\nAda;Lovelace;4711\r\nZoë;Müßig;4712\r\n"
# A thousand tokens out are $0.0006 of gpt-4o-mini: three answers and a piece of a fourth use a month up.
MONTHLY: Final = "$0.002/month"


class Term:
    """The class, its server whenever it runs, and the students' keys."""

    def __init__(self, folder: Path, mock: Mock) -> None:
        self.folder = folder
        self.keys: dict[str, str] = {}
        self.token_of_the_ta = ""
        self._mock = mock
        self._server: Server | None = None

    @contextmanager
    def at(self, utc: str, *, ready_path: str = "/readyz") -> Iterator[Shell]:
        """The server, started when it is *utc*; when it is stopped all its sums agree (M8)."""
        self._server = server = start_at(self.folder, self._mock, f"@{utc}", ready_path=ready_path)
        shell = Shell(server)
        try:
            yield shell
        finally:
            stop(server)
        shell.run("verify")

    def ask(self, student: str, tokens: int = 1000) -> Reply:
        """One chat call of *tokens* tokens out."""
        assert self._server is not None
        body = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": f"Tell me. [[tokens:{tokens}]]"}],
            "max_tokens": tokens,
        }
        key = self.keys[student]
        return asyncio.run(post(self._server.url, "/v1/chat/completions", key, body))

    def use_up(self, student: str) -> int:
        """Call until the month's money is spent. Returns how many calls were answered."""
        for answered in range(20):
            reply = self.ask(student)
            if reply.status != 200:
                assert (reply.status, reply.code) == (429, "insufficient_quota")
                return answered
        raise AssertionError("the budget does not end")

    def limit(self, student: str, limit: str) -> dict[str, Any]:
        """The state of one of the student's limits."""
        assert self._server is not None
        status, me = call("GET", f"{self._server.url}/api/v1/me", token=self.keys[student])
        assert status == 200, me
        return next(one for one in me["limits"] if one["limit"] == limit)


@pytest.fixture
def term(tmp_path: Path) -> Iterator[Term]:
    mock = start_mock(tmp_path / "mock")
    yield Term(tmp_path / "server", mock)
    mock.stop()


def test_a_winter_term(term: Term, tmp_path: Path) -> None:
    """M1, M8, M14, section 6, shown from outside."""
    _a_class_begins_in_october(term, tmp_path)
    _the_day_of_the_change_has_twenty_five_hours(term)
    _a_month_renews_at_local_midnight_while_the_server_runs(term)
    _a_key_leaks(term)
    _the_year_ends(term)
    _the_clock_is_set_back(term)
    _the_term_ends(term, tmp_path)


def test_a_term_with_savings_and_a_project_week(term: Term, tmp_path: Path) -> None:
    """M1, M8, M14: what a month leaves, and what a grant gives, are right after every start of the server."""
    roster, keys = tmp_path / "roster.csv", tmp_path / "keys.csv"
    roster.write_text(ROSTER, encoding="utf-8", newline="")
    with term.at("2026-10-05 08:00:00") as shell:
        shell.run(
            *("group", "create", "swa", "--time-zone", "Europe/Berlin", "--each", MONTHLY),
            *("--carry-over", "$0.001", "--models", "gpt-4o-mini"),
        )
        shell.run(
            *("member", "import", str(roster), "--group", "swa", "--issue-keys"),
            *("--out", str(keys)),
        )
        with keys.open(encoding="utf-8", newline="") as file:
            term.keys = {row["external_id"]: row["key"] for row in csv.DictReader(file)}
        assert term.use_up("4711") == 4
    with term.at(
        "2026-11-02 08:00:00"
    ) as shell:  # October left the one nothing, the other too much
        assert term.limit("4711", MONTHLY)["remaining"] < 0.00202
        assert term.limit("4712", MONTHLY)["remaining"] == 0.003
        shell.run(
            *("member", "grant", "--group", "swa", "--all", "--amount-usd", "0.001"),
            *("--until", "2026-12-31", "--reason", "project week"),
        )
        assert term.use_up("4711") == 5  # 0.002 and the grant
        assert term.ask("4712").status == 200
    with term.at("2026-12-31 22:59:00") as shell:  # the last minute of the grant
        assert term.limit("4711", MONTHLY)["remaining"] < 0.00203
        assert term.limit("4712", MONTHLY)["remaining"] == 0.004
        (grant,) = shell.json("member", "grants", "swa/4711")["data"]
        assert (grant["state"], grant["until"]) == ("active", "2026-12-31T23:00:00Z")
        assert term.use_up("4712") == 7
    with term.at("2026-12-31 23:00:01") as shell:  # January in Berlin
        assert term.limit("4712", MONTHLY)["remaining"] < 0.00203
        (grant,) = shell.json("member", "grants", "swa/4711")["data"]
        assert grant["state"] == "past"
        assert term.use_up("4712") == 4
        usage = shell.json("usage", "--group", "swa")["data"]
    billed = sum(one.cost_nano_usd for one in read_bill(tmp_path / "mock" / "bill.jsonl"))
    assert round(sum(row["cost_usd"] for row in usage) * 1e9) == billed


def _a_class_begins_in_october(term: Term, tmp_path: Path) -> None:
    roster, keys = tmp_path / "roster.csv", tmp_path / "keys.csv"
    roster.write_text(ROSTER, encoding="utf-8", newline="")
    with term.at("2026-10-05 08:00:00") as shell:
        shell.run(
            *("group", "create", "swa", "--time-zone", "Europe/Berlin"),
            *("--each", MONTHLY, "--each", "6 requests/day", "--each", "$1/year"),
            *("--models", "gpt-4o-mini"),
        )
        shell.run(
            *("member", "import", str(roster), "--group", "swa", "--issue-keys"),
            *("--out", str(keys)),
        )
        with keys.open(encoding="utf-8", newline="") as file:
            term.keys = {row["external_id"]: row["key"] for row in csv.DictReader(file)}

        made = shell.json(
            *("token", "create", "Grace, TA", "--role", "assistant", "--group", "swa"),
            *("--expires", "2027-03-31"),
        )
        term.token_of_the_ta = made["token"]

        assert term.use_up("4711") == 4  # the fourth was cut to what was left
        assert term.limit("4711", MONTHLY)["resets_at"] == "2026-10-31T23:00:00Z"
        assert term.ask("4712").status == 200


def _the_day_of_the_change_has_twenty_five_hours(term: Term) -> None:
    """25 October 2026 in Berlin: from 22:00 UTC of the day before until 23:00 UTC."""
    with term.at("2026-10-25 00:30:00"):  # half past two, for the first time
        assert [term.ask("4712", tokens=5).status for _ in range(3)] == [200] * 3
        day = term.limit("4712", "6 requests/day")
        assert (day["used"], day["resets_at"]) == (3, "2026-10-25T23:00:00Z")
    with term.at("2026-10-25 01:30:00"):  # half past two again: the same day, and no hour twice
        assert term.limit("4712", "6 requests/day")["used"] == 3
    with term.at("2026-10-25 22:59:00"):  # one minute to midnight
        assert [term.ask("4712", tokens=5).status for _ in range(4)] == [200] * 3 + [429]
    with term.at("2026-10-25 23:00:01"):
        assert term.limit("4712", "6 requests/day")["used"] == 0
        assert term.ask("4711").code == "insufficient_quota"  # the month goes on


def _a_month_renews_at_local_midnight_while_the_server_runs(term: Term) -> None:
    began, midnight = (
        "2026-10-31 22:59:48",
        "2026-10-31 23:00:00",
    )  # time to start on a busy machine
    with term.at(began):
        assert term.ask("4711").code == "insufficient_quota"
        _wait_until(midnight, since=began)
        assert term.use_up("4711") == 4  # a whole new month: no more, no less
        month = term.limit("4711", MONTHLY)
        assert month["resets_at"] == "2026-11-30T23:00:00Z"
        # October's money of whoever spent little is not saved up.
        assert term.limit("4712", MONTHLY)["remaining"] == 0.002


def _a_key_leaks(term: Term) -> None:
    """The assistant finds whose it is and replaces it; a new secret is no new budget (M14)."""
    with term.at("2026-12-07 08:00:00") as shell:
        assert term.ask("4712", tokens=5).status == 200
        spent = term.limit("4712", MONTHLY)["used"]
        theirs = {"TUCKSHOP_ADMIN_TOKEN": term.token_of_the_ta, "TUCKSHOP_URL": shell.server.url}
        found = shell.run(
            "key", "find", "-", "--json", environment=theirs, stdin=f"see {term.keys['4712']}!"
        )
        (key,) = json.loads(found.stdout)["data"]
        new = shell.run("key", "rotate", key["key"]["id"], "--yes", "--json", environment=theirs)

        assert term.ask("4712").code == "invalid_api_key"
        term.keys["4712"] = json.loads(new.stdout)["key"]
        assert term.limit("4712", MONTHLY)["used"] == spent > 0


def _the_year_ends(term: Term) -> None:
    with term.at("2026-12-31 22:59:00"):
        assert term.ask("4712").status == 200
        year = term.limit("4711", "$1/year")
        assert (year["used"] > 0.0039, year["resets_at"]) == (True, "2026-12-31T23:00:00Z")
    with term.at("2026-12-31 23:00:01"):
        for limit, ends in ((MONTHLY, "2027-01-31T23:00:00Z"), ("$1/year", "2027-12-31T23:00:00Z")):
            state = term.limit("4711", limit)
            assert (state["used"], state["resets_at"]) == (0, ends)
        assert term.use_up("4711") == 4


def _the_clock_is_set_back(term: Term) -> None:
    """Nobody gets December's money a second time: no call goes out before somebody has looked."""
    with term.at("2026-12-20 12:00:00", ready_path="/healthz") as shell:
        assert call("GET", f"{shell.server.url}/readyz")[0] == 503
        refused = term.ask("4712")
        assert (refused.status, refused.code) == (503, "server_busy")
    with term.at("2027-01-04 08:00:00"):  # right again: nothing to accept, January goes on
        assert term.ask("4711").code == "insufficient_quota"
        assert term.ask("4712").status == 200


def _the_term_ends(term: Term, tmp_path: Path) -> None:
    with term.at("2027-02-15 12:00:00") as shell:
        shell.run("group", "archive", "swa")
        assert (term.ask("4712").status, term.ask("4712").code) == (401, "key_archived")
        usage = shell.json("usage", "--group", "swa")["data"]
        month = (*("--group", "swa"), *("--since", "2026-10-31T23:00:00Z"))
        november = shell.json("usage", *month, "--until", "2026-11-30T23:00:00Z")["data"]
        statement = shell.json("usage", "statement", "--group", "swa", "--month", "2026-11")
        spent = round(sum(row["cost_usd"] for row in november), 9)
        assert statement["total"]["cost_usd"] == spent > 0
    with term.at("2027-04-01 08:00:00") as shell:  # the assistant's time is over
        theirs = {"TUCKSHOP_ADMIN_TOKEN": term.token_of_the_ta, "TUCKSHOP_URL": shell.server.url}
        assert "expired" in shell.run("group", "list", environment=theirs, status=1).stderr
    charged = sum(row["cost_usd"] for row in usage)
    billed = sum(one.cost_nano_usd for one in read_bill(tmp_path / "mock" / "bill.jsonl"))
    assert round(charged * 1e9) == billed


def _wait_until(utc: str, *, since: str) -> None:
    """The server's clock said *since* when it was started, or later: wait until it surely says *utc*."""
    wait = datetime.fromisoformat(utc) - datetime.fromisoformat(since) + timedelta(seconds=0.2)
    time.sleep(wait.total_seconds())
