"""A course moves here from another gateway: its students change the address, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http import Reply, post
from tests.support.processes import call, start_mock, start_server
from tests.support.shell import Shell

DATA = Path(__file__).parents[1] / "data"
LITELLM = [str(DATA / "litellm" / f"{name}.json") for name in ("keys", "teams", "users")]
BRICKSLLM = [str(DATA / "bricksllm" / f"{name}.json") for name in ("keys", "users")]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("move")
    mock = start_mock(folder / "mock")
    server = start_server(folder / "server", mock.url)
    yield Shell(server)
    assert server.stop() == 0
    mock.stop()


def ask(shell: Shell, key: str, path: str = "/v1/chat/completions") -> Reply:
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 5,
    }
    return asyncio.run(post(shell.server.url, path, key, body))


def test_from_litellm(shell: Shell) -> None:
    """K1, K15, M14: existing keys go on working, within the limits they had; others stay unknown, and cost nothing."""
    assert ask(shell, "sk-ada-EXAMPLE-0001").code == "invalid_api_key"

    told = shell.run("import", "litellm", *LITELLM, "--dry-run")
    assert "4 keys new" in told.stdout
    assert not shell.json("key", "list")["data"]

    done = shell.run("import", "litellm", *LITELLM)
    assert "2 groups taken over" in done.stdout
    assert "6 members taken over" in done.stdout
    assert "4 keys taken over" in done.stdout
    assert (
        "- aliases: model aliases: clients have to ask for the model itself (key ci)" in done.stdout
    )

    assert ask(shell, "sk-ada-EXAMPLE-0001").status == 200
    assert ask(shell, "sk-zoe-EXAMPLE-0002").code == "key_paused"
    assert ask(shell, "sk-ci-EXAMPLE-0003").status == 200
    assert ask(shell, "sk-ci-EXAMPLE-0003", "/v1/responses").code == "endpoint_not_allowed"
    assert ask(shell, "sk-old-EXAMPLE-0004").code == "key_expired"
    me = call("GET", f"{shell.server.url}/api/v1/me", token="sk-ada-EXAMPLE-0001")[1]
    assert [limit["limit"] for limit in me["limits"] if limit["scope"] == "key"] == [
        *("$0.20/month", "35 requests/minute", "10 requests/minute on gpt-4o-mini"),
        *("1600 tokens/minute", "4 concurrent requests"),
    ]

    rows = len(shell.json("log", "--limit", "1000")["data"])
    strangers = [ask(shell, f"sk-unknown-{number}").status for number in range(50)]
    mistyped = ask(shell, "sk-tuck-" + "a" * 40)
    assert set(strangers) == {401}
    assert (mistyped.status, mistyped.code) == (401, "invalid_api_key")
    assert len(shell.json("log", "--limit", "1000")["data"]) == rows

    again = shell.run("import", "litellm", *LITELLM)
    assert "0 keys taken over, 4 there already" in again.stdout

    (key,) = [one for one in shell.json("key", "list")["data"] if one["last4"] == "0001"]
    new = shell.json("key", "rotate", key["id"])["key"]
    assert new.startswith("sk-tuck-")
    shell.run("import", "litellm", *LITELLM)
    assert ask(shell, "sk-ada-EXAMPLE-0001").code == "invalid_api_key"
    assert ask(shell, new).status == 200


def test_from_bricksllm(shell: Shell) -> None:
    """K1."""
    done = shell.run("import", "bricksllm", *BRICKSLLM, "--group", "bricks")
    assert "4 keys taken over" in done.stdout

    assert ask(shell, "bricks-ada-example-1").status == 200
    assert ask(shell, "bricks-gone-example-3").code == "key_revoked"
    assert ask(shell, "bricks-clear-example-4").status == 200
    found = shell.run("key", "find", "-", stdin="bricks-bot-example-2")
    assert "bricks/id-2" in found.stdout
    shell.run("key", "rotate", "--group", "bricks", "--yes", "--out", str(Path("new.csv")))
    assert ask(shell, "bricks-ada-example-1").status == 401


def test_a_file_that_is_no_export_takes_nothing_over(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"keys": ["ab", "cd"]}')

    refused = shell.run("import", "litellm", str(path), status=1)

    assert "return_full_object=true" in refused.stderr
