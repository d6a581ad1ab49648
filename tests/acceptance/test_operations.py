"""What an operator does, with the real command against a real server: backup, restore, clock."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.acceptance.conftest import client_of, key_of_new_member
from tests.support.false_clock import start_at, stop
from tests.support.processes import (
    ADMIN_TOKEN,
    COMMAND,
    CREDENTIAL,
    Mock,
    Server,
    call,
    clean_environment,
    start_server,
)

pytestmark = pytest.mark.long

HELLO: Any = [{"role": "user", "content": "hello"}]


def tuckshop(data: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command over a data folder."""
    done = subprocess.run(
        [str(COMMAND), *arguments],
        env=clean_environment() | {"TUCKSHOP_DATA": str(data)},
        cwd=data.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def say_hello(server: Server, key: str) -> None:
    client_of(server, key).chat.completions.create(model="gpt-4o-mini", messages=HELLO)


def test_a_backup_comes_back_on_another_machine(folder: Path, mock: Mock) -> None:
    """D8, P10."""
    server = start_server(folder / "old", mock.url)
    key = key_of_new_member(server, "swa", each=["$1/month"])
    say_hello(server, key)
    backup = folder / "b.db"

    made = json.loads(tuckshop(server.data, "backup", str(backup), "--json").stdout)
    say_hello(server, key)
    refused = tuckshop(server.data, "restore", str(backup), status=1)
    assert server.stop() == 0

    assert made["agrees"]
    assert made["requests"] == 1
    assert "in use by another tuckshop" in refused.stderr
    secret_key = (server.data / "secret-key").read_text().strip()
    content = backup.read_bytes()
    for secret in (CREDENTIAL, ADMIN_TOKEN, secret_key, bytes.fromhex(secret_key), key):
        assert (secret.encode() if isinstance(secret, str) else secret) not in content
    assert "replaces nothing" in tuckshop(server.data, "backup", str(backup), status=1).stderr

    # Onto the old folder: the old ledger is kept, and what it knew is told.
    told = json.loads(tuckshop(server.data, "restore", str(backup), "--json").stdout)
    assert told["known_since"]["requests"] == 1
    assert told["known_since"]["cost_usd"] > 0
    assert Path(told["kept_aside"]).exists()

    # Onto an empty one: no start before the gap is acknowledged.
    new = folder / "new" / "data"
    new.parent.mkdir()
    assert "secret-key" in tuckshop(new, "restore", str(backup)).stderr
    with pytest.raises(AssertionError, match="--acknowledge-gap"):
        start_server(new.parent, mock.url)
    assert "nothing is known" in tuckshop(new, "restore", "--acknowledge-gap").stdout
    again = start_server(new.parent, mock.url)
    say_hello(again, key)
    assert again.made("GET", "/usage")["data"][0]["requests"] == 2
    assert again.stop() == 0
    assert "All agrees" in tuckshop(new, "verify").stderr


def test_a_clock_that_was_wrong_is_accepted_by_command(folder: Path, mock: Mock) -> None:
    """Section 6, around restarts: two days ahead, then right again."""
    ahead = start_at(folder, mock, "+2d")
    key = key_of_new_member(ahead, "swa", each=["$1/month"])
    say_hello(ahead, key)
    stop(ahead)

    right = start_server(folder, mock.url, ready_path="/healthz")
    status, problem = call("GET", f"{right.url}/readyz")
    assert (status, "clock" in problem["detail"]) == (503, True)
    refused = call(
        "POST",
        f"{right.url}/v1/chat/completions",
        {"model": "gpt-4o-mini", "messages": HELLO},
        token=key,
    )
    assert (refused[0], refused[1]["error"]["code"]) == (503, "server_busy")

    assert "Accepted" in tuckshop(right.data, "clock", "accept").stderr
    say_hello(right, key)
    assert "nothing to accept" in tuckshop(right.data, "clock", "accept", status=1).stderr
    assert right.stop() == 0

    again = start_server(folder, mock.url)
    say_hello(again, key)
    assert again.stop() == 0
    assert "All agrees" in tuckshop(again.data, "verify").stderr


def test_a_start_after_a_month_finds_new_windows_and_says_that_time_has_passed(
    folder: Path, mock: Mock
) -> None:
    """Section 6: at a start a later time is accepted and logged; what was closed before stays closed."""
    first = start_server(folder, mock.url)
    key = key_of_new_member(first, "swa", each=["1 requests/month", "2 requests total"])
    say_hello(first, key)
    with pytest.raises(openai.RateLimitError):
        say_hello(first, key)
    assert first.stop() == 0

    later = start_at(folder, mock, "+40d")
    say_hello(later, key)
    with pytest.raises(openai.RateLimitError):
        say_hello(later, key)
    month, total = later.made("GET", "/members?group=swa")["data"][0]["in_force"]
    assert (month["used"], total["used"]) == (1, 2)
    assert "clock: " in later.log.read_text()
    stop(later)
    assert "All agrees" in tuckshop(later.data, "verify").stderr


def metrics_of(server: Server) -> str:
    status, page = call("GET", f"{server.url}/metrics")
    assert status == 200
    return str(page)


def test_metrics_tell_sums_and_nobody(server: Server, mock: Mock) -> None:
    """K17: scraped without a credential, after calls of every kind."""
    key = key_of_new_member(
        server,
        "canary-group",
        each=["$0.4242/month", "2 requests/day"],
        member={"name": "Canary Name", "email": "canary@example.org"},
        key={"name": "canary-key"},
    )
    say_hello(server, key)
    stream = client_of(server, key).chat.completions.create(
        model="gpt-4o-mini", messages=HELLO, stream=True
    )
    assert len(list(stream)) > 1
    with pytest.raises(openai.RateLimitError):
        say_hello(server, key)
    with pytest.raises(openai.AuthenticationError):
        say_hello(server, "sk-tuck-canary")

    page = metrics_of(server)

    assert 'tuckshop_requests_total{endpoint="chat",status="200"} 2.0' in page
    assert 'tuckshop_refusals_total{code="rate_limit_exceeded"} 1.0' in page
    assert 'tuckshop_refusals_total{code="invalid_api_key"} 1.0' in page
    assert 'tuckshop_tokens_total{kind="output",model="gpt-4o-mini"}' in page
    assert 'tuckshop_alarms_total{alarm="unconfirmed"} 0.0' in page
    assert "tuckshop_ready 1.0" in page
    assert "tuckshop_open_reservations 0.0" in page
    cost = float(page.partition('cost_nano_usd_total{model="gpt-4o-mini"} ')[2].split()[0])
    assert cost == float(server.made("GET", "/usage")["data"][0]["cost_usd"]) * 1e9
    for word in (
        "canary",
        "Canary",
        "0.4242",
        CREDENTIAL,
        ADMIN_TOKEN,
        key,
        key[-4:],
        "grp_",
        "mem_",
    ):
        assert word not in page


def test_a_call_that_broke_off_is_corrected_by_command(server: Server, mock: Mock) -> None:
    """M7: from the fault to the bill, with a dry run between."""
    key = key_of_new_member(server, "broken", each=["$1/month"])
    with pytest.raises(openai.APIError):
        client_of(server, key).chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "[[fault:reset-before-head]] hello"}],
        )
    arguments = (
        *("correct", "--unconfirmed", "--since", "2026-01-01", "--group", "broken"),
        *("--to", "0.000001", "--reason", "usage report", "--json"),
    )

    told = json.loads(tuckshop(server.data, *arguments, "--dry-run").stdout)
    posted = json.loads(tuckshop(server.data, *arguments, "--yes").stdout)
    again = json.loads(tuckshop(server.data, *arguments, "--to", "0").stdout)

    assert (told["calls"], posted["calls"], again["calls"]) == (1, 1, 0)
    (row,) = server.made("GET", "/requests?group=broken&flagged=true")["data"]
    assert row["cost_usd"] == 0.000001
    assert 'tuckshop_alarms_total{alarm="unconfirmed"} 1.0' in metrics_of(server)
    assert "All agrees" in tuckshop(server.data, "verify").stderr


def test_the_doctor_finds_a_running_server_well(server: Server, mock: Mock) -> None:
    done = subprocess.run(
        [str(COMMAND), "doctor", "--online", "--json"],
        env=clean_environment()
        | {
            "TUCKSHOP_DATA": str(server.data),
            "OPENAI_API_KEY": CREDENTIAL,
            "OPENAI_BASE_URL": mock.url,
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert CREDENTIAL not in done.stdout
    levels = {f["subject"]: f["level"] for f in json.loads(done.stdout)["findings"]}
    assert {levels[name] for name in ("ledger", "clock", "data folder", "upstream openai")} == {
        "ok"
    }
