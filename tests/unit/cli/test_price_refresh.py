"""`tuckshop prices refresh`: what it shows, what it asks, and what it sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import FakeServer

TERMS: dict[str, Any] = {
    "free": False,
    "units": {"input": 0.15, "output": 0.6},
    "long_context": None,
    "family": "chat",
    "snapshot_of": None,
    "context_tokens": 128_000,
    "max_input_tokens": None,
    "max_output_tokens": 16_384,
    "reasons": False,
    "images": None,
    "cap_field": "max_tokens",
    "searches": False,
    "ends": None,
}
FALLS: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "action": "changed",
    "is_less": True,
    "before": TERMS,
    "after": {**TERMS, "units": {"input": 0.1, "output": 0.6, "cached_input": 0.05}},
    "next_from": "2027-01-01T00:00:00Z",
}
NEW = {**FALLS, "model": "gpt-99", "action": "new", "is_less": False, "before": None}
GONE = {**FALLS, "model": "ada", "action": "gone", "is_less": False, "after": None}


def answer(*data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found = {"data": data, "unchanged": 7, "effective_from": None, "dry_run": True}
    return {**found, **changes}


@pytest.fixture
def price_file(tmp_path: Path, run: Run) -> str:
    (tmp_path / "prices.json").write_text(json.dumps([{"model": "gpt-4o-mini"}]))
    return "prices.json"


def test_the_difference_is_shown_and_nothing_is_sent_in_earnest(
    run: Run, server: FakeServer, price_file: str
) -> None:
    server.will_answer(answer(FALLS, NEW, GONE))

    result = run("prices", "refresh", price_file, "--dry-run", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert [one.body["dry_run"] for one in server.asked] == [True]
    assert "~ gpt-4o-mini\n      input: $0.15 → $0.10\n" in result.stdout
    assert "      cached: none → $0.05\n" in result.stdout
    assert "costs or holds less than now" in result.stdout
    assert "another price comes at 2027-01-01 00:00 UTC, and stays" in result.stdout
    assert "+ gpt-99" in result.stdout
    assert "- ada  (not in the file: stays as it is)" in result.stdout
    assert "1 new, 1 to change, 1 not in the file, 7 as they are" in result.stdout


def test_what_falls_is_asked_about(run: Run, server: FakeServer, price_file: str) -> None:
    """M11: nothing becomes cheaper without somebody's saying so."""
    server.will_answer(answer(FALLS))

    result = run("prices", "refresh", price_file, environment=server.environment())

    assert result.exit_code == 1
    assert "1 would be charged or held less than now. Say --yes." in result.stderr
    assert len(server.asked) == 1


def test_said_so_it_is_put(run: Run, server: FakeServer, price_file: str) -> None:
    server.will_answer(answer(FALLS)).will_answer(
        answer(FALLS, effective_from="2027-01-01T00:00:00Z", dry_run=False)
    )

    result = run(
        *("prices", "refresh", "-", "--yes", "--from", "2027-01-01", "--replace-own"),
        environment=server.environment(),
        stdin='[{"model": "gpt-4o-mini"}]',
    )

    assert result.exit_code == 0, result.stderr
    assert server.asked[1].target == "/api/v1/prices/refresh"
    assert server.asked[1].body == {
        "prices": [{"model": "gpt-4o-mini"}],
        "upstream": "openai",
        "replace_own": True,
        "effective_from": "2027-01-01",
        "accept_less": True,
    }
    assert "1 prices are put, from 2027-01-01 00:00 UTC on." in result.stdout


@pytest.mark.parametrize("content", ["{", '{"a": 1}', ""])
def test_what_is_no_price_list_is_refused_here(
    run: Run, server: FakeServer, tmp_path: Path, content: str
) -> None:
    (tmp_path / "prices.json").write_text(content)

    result = run("prices", "refresh", "prices.json", environment=server.environment())

    assert result.exit_code == 1
    assert "is no price list" in result.stderr
    assert server.asked == []
