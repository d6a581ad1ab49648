"""`tuckshop upstream`: what it asks the server, and that a credential comes in by no argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import FakeServer, page

SECRET = "sk-real-0123456789abcd"
UPSTREAM: dict[str, Any] = {
    "id": "upr_1",
    "name": "second",
    "family": "openai",
    "profile": "openai",
    "base_url": "https://llm.example.org/v1",
    "models": None,
    "limits": [],
    "credential_source": "sealed",
    "last4": "abcd",
    "state": "ready",
}


def test_a_credential_is_read_from_standard_input(run: Run, server: FakeServer) -> None:
    """K2."""
    server.will_answer(UPSTREAM, 201)

    result = run(
        *("upstream", "add", "second", "--base-url", "https://llm.example.org/v1"),
        *("--profile", "compatible", "--models", "gpt-4o*", "--models", "o3"),
        environment=server.environment(),
        stdin=f"{SECRET}\n",
    )

    assert result.exit_code == 0, result.stderr
    assert (server.asked[0].method, server.asked[0].target) == ("POST", "/api/v1/upstreams")
    assert server.asked[0].body == {
        "name": "second",
        "base_url": "https://llm.example.org/v1",
        "profile": "compatible",
        "models": ["gpt-4o*", "o3"],
        "credential": SECRET,
    }
    assert "…abcd" in result.stdout
    assert SECRET not in result.output


def test_a_credential_is_read_from_a_file(run: Run, server: FakeServer, tmp_path: Path) -> None:
    server.will_answer(UPSTREAM)
    (tmp_path / "key").write_text(f"{SECRET}\n")

    result = run(
        *("upstream", "edit", "second", "--credential-file", "key"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert (server.asked[1].method, server.asked[1].body) == ("PATCH", {"credential": SECRET})


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("upstream", "edit", "second", "--credential", SECRET), 2),  # an argument: refused
        (("upstream", "edit", "second"), 2),
        (("upstream", "edit", "second", "--credential", "--credential-file", "key"), 2),
        (("upstream", "edit", "second", "--credential-file", "nosuch"), 1),
        (("upstream", "edit", "second", "--credential"), 1),  # nothing on standard input
    ],
)
def test_what_gives_no_credential_is_refused(
    run: Run, server: FakeServer, arguments: tuple[str, ...], status: int
) -> None:
    server.will_answer(UPSTREAM)

    result = run(*arguments, environment=server.environment(), stdin="")

    assert result.exit_code == status
    assert all(asked.method == "GET" for asked in server.asked)


def test_whoever_changes_the_upstream_of_the_settings_is_told_that_it_follows_them(
    run: Run, server: FakeServer
) -> None:
    server.will_answer({**UPSTREAM, "name": "openai", "credential_source": "setting"})
    server.will_answer({**UPSTREAM, "name": "openai"})

    result = run(
        *("upstream", "edit", "openai", "--credential"),
        environment=server.environment(),
        stdin=SECRET,
    )

    assert "follows the server's settings" in result.stderr


def test_a_credential_that_was_dropped_is_told(run: Run, server: FakeServer) -> None:
    """K20."""
    server.will_answer(UPSTREAM)
    server.will_answer({**UPSTREAM, "credential_source": None, "state": "no_credential"})

    result = run(
        *("upstream", "edit", "second", "--base-url", "https://a.example"),
        environment=server.environment(),
    )

    assert "It has no credential now" in result.stderr


def test_upstreams_are_listed_in_the_order_of_looking(run: Run, server: FakeServer) -> None:
    first = {**UPSTREAM, "name": "openai", "credential_source": "setting", "models": ["gpt-4o*"]}
    server.will_answer(page(first, {**UPSTREAM, "state": "no_credential"}))

    result = run("upstream", "list", environment=server.environment())

    lines = result.stdout.splitlines()[1:]
    assert lines[0].split()[0] == "openai"
    assert "…abcd (settings)" in lines[0]
    assert "…abcd (does not open)" in lines[1]


@pytest.mark.parametrize(("outcome", "status"), [("ok", 0), ("credential_refused", 1)])
def test_a_try_ends_with_the_status_that_it_deserves(
    run: Run, server: FakeServer, outcome: str, status: int
) -> None:
    message = "a.example answers."
    server.will_answer(
        {"upstream": "second", "result": outcome, "status": 200, "models": 3, "message": message}
    )

    result = run("upstream", "test", "second", environment=server.environment())

    assert server.asked[0].target == "/api/v1/upstreams/second/test"
    assert result.exit_code == status
    assert message in result.stderr


def test_a_removed_upstream_of_the_settings_comes_back(run: Run, server: FakeServer) -> None:
    server.will_answer({**UPSTREAM, "credential_source": "setting"})

    result = run("upstream", "remove", "second", environment=server.environment())

    assert (server.asked[0].method, result.exit_code) == ("DELETE", 0)
    assert "unset them" in result.stderr
