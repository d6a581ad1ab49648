"""Staff of a course at the command line, with a token of their own, and limits over all courses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes import call, start_mock, start_server
from tests.support.shell import Shell

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("staff")
    mock = start_mock(folder / "mock")
    server = start_server(folder, mock.url)
    try:
        yield Shell(server)
    finally:
        server.stop()
        mock.stop()


def key_in(shell: Shell, group: str) -> str:
    shell.run("group", "create", group, "--each", "$1/month", "--shared", "$50/month")
    made = shell.json("member", "create", "4711", "--group", group, "--issue-keys")
    return str(made["data"][0]["key"])


def test_an_assistant_enrols_in_their_course_and_sees_no_other(shell: Shell) -> None:
    """K4, K5, K6, K3."""
    for group in ("swa", "other"):
        key_in(shell, group)
    made = shell.json(
        *("token", "create", "Grace, TA", "--role", "assistant", "--group", "swa"),
        *("--expires", "2099-03-31"),
    )
    environment = {"TUCKSHOP_ADMIN_TOKEN": made["token"]}

    assert made["expires_at"] == "2099-04-01T00:00:00Z"  # the end of that day
    enrolled = shell.run(
        *("member", "create", "4712", "--group", "swa", "--issue-keys"), environment=environment
    )
    assert "sk-tuck-" in enrolled.stdout
    listed = shell.run("group", "list", environment=environment).stdout
    assert "swa" in listed
    assert "other" not in listed
    foreign = shell.run("member", "list", "--group", "other", environment=environment, status=1)
    assert "no group 'other'" in foreign.stderr
    more = shell.run(
        *("group", "edit", "swa", "--shared", "$99/month"), environment=environment, status=1
    )
    assert "needs the role owner" in more.stderr
    assert "has the role assistant" in more.stderr
    status, _ = call("POST", f"{shell.server.url}/v1/chat/completions", BODY, token=made["token"])
    assert status == 401

    assert "Grace, TA" in shell.run("token", "list").stdout
    assert made["token"] not in shell.run("token", "show", "Grace, TA").stdout
    shell.run("token", "revoke", "Grace, TA")
    closed = shell.run("group", "list", environment=environment, status=1)
    assert "was revoked" in closed.stderr
    assert "no token 'nobody'" in shell.run("token", "show", "nobody", status=1).stderr


def test_a_limit_over_all_groups_refuses_in_each(shell: Shell) -> None:
    """M1, K3: at the next call, in two groups; and lifted, it lets them in again."""
    keys = [key_in(shell, group) for group in ("first", "second")]
    address = f"{shell.server.url}/v1/chat/completions"
    assert [call("POST", address, BODY, token=key)[0] for key in keys] == [200, 200]

    edited = shell.run("workspace", "edit", "--limits", "1 request/year", "--models", "gpt-4o-*")

    assert "shared by all groups" in edited.stdout
    for key in keys:
        status, refusal = call("POST", address, BODY, token=key)
        assert status == 429
        assert "all groups share" in refusal["error"]["message"]
    assert shell.json("workspace", "show")["in_force"][0]["used"] >= 2
    shell.run("workspace", "edit", "--unset", "limits", "--unset", "models")
    assert [call("POST", address, BODY, token=key)[0] for key in keys] == [200, 200]
    shell.run("workspace", "edit", status=2)
