"""Finding the server, and saying plainly what went wrong on the way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, HANGS_UP, TOKEN, FakeServer, page


def _running_in(folder: Path, server: FakeServer, pid: int) -> dict[str, str | None]:
    folder.mkdir(mode=0o700)
    (folder / "run.json").write_text(json.dumps({"url": server.url, "pid": pid}))
    (folder / "admin-token").write_text("kept-token-0123456789\n")
    return {"TUCKSHOP_DATA": str(folder)}


def test_the_data_folder_tells_address_and_token(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    environment = _running_in(tmp_path / "data", server, os.getpid())
    server.will_answer(page(GROUP))

    result = run("group", "list", environment=environment)

    assert result.exit_code == 0, result.stderr
    assert server.asked[0].token == "kept-token-0123456789"


def test_an_address_that_is_set_wins_over_the_data_folder(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    environment = _running_in(tmp_path / "data", server, os.getpid())
    environment |= server.environment()
    server.will_answer(page(GROUP))

    run("group", "list", environment=environment)

    assert server.asked[0].token == TOKEN


def test_the_token_is_not_handed_to_whoever_listens_after_the_server_died(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    environment = _running_in(tmp_path / "data", server, ended.pid)

    result = run("group", "list", environment=environment)

    assert result.exit_code == 1
    assert "No server runs over the data folder" in result.stderr
    assert server.asked == []


def test_without_a_server_the_way_to_one_is_told(run: Run) -> None:
    result = run("group", "list")

    assert result.exit_code == 1
    assert "tuckshop serve" in result.stderr
    assert "TUCKSHOP_URL" in result.stderr


def test_a_port_where_nobody_listens_is_told(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    result = run("group", "list", environment={"TUCKSHOP_URL": url, "TUCKSHOP_ADMIN_TOKEN": TOKEN})

    assert result.exit_code == 1
    assert f"No server answers at {url}" in result.stderr


def test_an_address_without_a_token_is_told(run: Run, server: FakeServer) -> None:
    result = run("group", "list", environment={"TUCKSHOP_URL": server.url})

    assert result.exit_code == 1
    assert "TUCKSHOP_ADMIN_TOKEN_FILE" in result.stderr


def test_the_token_can_stand_in_a_file(run: Run, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-of-the-file-0123\n")
    server.will_answer(page(GROUP))

    run(
        "group",
        "list",
        environment={
            "TUCKSHOP_URL": server.url,
            "TUCKSHOP_ADMIN_TOKEN_FILE": str(tmp_path / "token"),
        },
    )

    assert server.asked[0].token == "token-of-the-file-0123"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(run: Run, server: FakeServer, status: int) -> None:
    server.will_answer(b"", status, location=server.url + "/elsewhere")

    result = run("group", "list", environment=server.environment())

    assert result.exit_code == 1
    assert "redirect" in result.stderr
    assert len(server.asked) == 1


def test_no_proxy_gets_the_token(run: Run, server: FakeServer) -> None:
    server.will_answer(page(GROUP))
    environment = server.environment() | {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }

    result = run("group", "list", environment=environment)

    assert result.exit_code == 0, result.stderr


def test_a_students_key_in_the_environment_is_no_hindrance(run: Run, server: FakeServer) -> None:
    server.will_answer(page(GROUP))
    environment = server.environment() | {
        "OPENAI_API_KEY": "sk-tuck-0123456789",
        "OPENAI_BASE_URL": "http://127.0.0.1:8000/v1",
    }

    result = run("group", "list", environment=environment)

    assert result.exit_code == 0, result.stderr


def test_a_refusal_is_told_on_stderr(run: Run, server: FakeServer) -> None:
    server.will_answer({"detail": "There is no group 'nope'.", "status": 404}, 404)

    result = run("group", "show", "nope", environment=server.environment())

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "There is no group 'nope'." in result.stderr


def test_every_field_that_cannot_be_taken_is_told(run: Run, server: FakeServer) -> None:
    errors = [
        {"field": "each[0]", "message": "column 1: expected an amount"},
        {"field": "time_zone", "message": "'Mars' is not an IANA time zone"},
    ]
    server.will_answer({"detail": "each[0]: … (and 1 more)", "errors": errors}, 422)

    result = run("group", "create", "swa", "--each", "bash.20", environment=server.environment())

    assert result.exit_code == 1
    assert "each[0]: column 1" in result.stderr
    assert "time_zone: 'Mars'" in result.stderr
    assert "single quotes" in result.stderr


def test_a_wrong_token_is_told(run: Run, server: FakeServer) -> None:
    server.will_answer({"detail": "This is not the admin token."}, 401)

    result = run("group", "list", environment=server.environment())

    assert result.exit_code == 1
    assert "TUCKSHOP_ADMIN_TOKEN" in result.stderr


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"<html>"), (502, b"")])
def test_what_is_no_tuckshop_is_told(
    run: Run, server: FakeServer, status: int, body: bytes
) -> None:
    server.will_answer(body, status, **{"content-type": "text/html"})

    result = run("group", "list", environment=server.environment())

    assert result.exit_code == 1
    assert "not answer as tuckshop does" in result.stderr or "not as tuckshop" in result.stderr


def test_an_unknown_setting_is_told(run: Run) -> None:
    result = run("group", "list", environment={"TUCKSHOP_URI": "http://127.0.0.1"})

    assert result.exit_code == 1
    assert "TUCKSHOP_URI" in result.stderr
    assert "did you mean" in result.stderr


def test_lists_are_read_to_their_end(run: Run, server: FakeServer) -> None:
    server.will_answer(page(GROUP, cursor="abc")).will_answer(page({**GROUP, "name": "second"}))

    result = run("group", "list", "--json", environment=server.environment())

    names = [one["name"] for one in json.loads(result.stdout)["data"]]
    assert names == ["swa", "second"]
    assert "cursor=abc" in server.asked[1].target


def test_names_are_escaped_in_the_address(run: Run, server: FakeServer) -> None:
    server.will_answer({"detail": "no"}, 404)

    run("group", "show", "../../v1/x?y", environment=server.environment())

    assert server.asked[0].target == "/api/v1/groups/..%2F..%2Fv1%2Fx%3Fy"


def test_what_is_made_is_sent_once_more_under_the_same_name_when_the_connection_breaks(
    run: Run, server: FakeServer
) -> None:
    """M14: the server knows both for one call."""
    server.will_answer(None, HANGS_UP).will_answer(GROUP, 201)

    result = run("group", "create", "swa", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    first, second = server.asked
    assert first == second
    assert first.name


def test_each_call_that_makes_something_has_a_name_of_its_own(run: Run, server: FakeServer) -> None:
    server.will_answer(GROUP, 201)

    for _ in range(2):
        run("group", "create", "swa", environment=server.environment())

    assert len({asked.name for asked in server.asked}) == 2


def test_other_calls_are_not_sent_again(run: Run, server: FakeServer) -> None:
    """A reset that was done would be done twice."""
    server.will_answer(None, HANGS_UP)

    result = run("group", "reset", "swa", environment=server.environment())

    assert result.exit_code == 1
    assert "broke off" in result.stderr
    assert len(server.asked) == 1
