"""What the commands print of a group that hides who its members are (P11)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.support.commands_and_members import CHANGING, READING
from tests.support.flagged import flag
from tests.support.processes import ADMIN_TOKEN, Server, call, start_mock, start_server
from tuckshop.cli.main import cli
from tuckshop.domain.pseudonyms import pseudonym_of

WHO = ("CANARY-4711", "Canary Lovelace", "canary@example.org")
ROSTER = f"external_id,name,email\n{','.join(WHO)}\n"
SECOND = "external_id,name,email\nOTHER-1,Other,other@example.org\n"


class Office:
    """A server with a group that hides its members, and the commands in this process."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.roster = folder / "roster.csv"
        self.roster.write_text(ROSTER)
        self.made: dict[str, str] = {"roster": str(self.roster)}

    def run(self, *arguments: str) -> Result:
        environment = {
            "TUCKSHOP_DATA": str(self.server.data),
            "TUCKSHOP_URL": self.server.url,
            "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
        }
        named = [argument.format_map(self.made) for argument in arguments]
        return CliRunner().invoke(cli, named, env=environment, input=self.made.get("secret"))

    def printed(self, *arguments: str) -> str:
        """What it prints, wherever, however it ends."""
        done = self.run(*arguments)
        assert done.exit_code != 2, (arguments, done.output)  # 2: it was not typed rightly
        return done.output


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("pseudonyms")
    mock = start_mock(folder / "mock")
    server = start_server(folder, mock.url, TUCKSHOP_PUBLIC_URL="https://tuckshop.example.org")
    try:
        office = Office(server, folder)
        kept = {"bodies": "all", "purpose": "a test", "readers": ["viewer"]}
        course_of = {"name": "quiet", "shared": ["$50/month"], "logging": kept}
        server.made("POST", "/groups", course_of)
        who = dict(zip(("external_id", "name", "email"), WHO, strict=True))
        member = server.made("POST", "/groups/quiet/members", who)["data"][0]
        key = server.made("POST", f"/members/{member['id']}/keys", {"name": "laptop"})
        token = {"name": "a viewer", "role": "viewer", "groups": ["quiet"]}
        office.made |= {"member": member["id"], "key": key["id"]}
        office.made["token"] = server.made("POST", "/tokens", token)["id"]
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}
        status, _ = call("POST", f"{server.url}/v1/chat/completions", body, token=key["key"])
        assert status == 200
        course = folder / "course.toml"
        course.write_text('[[group]]\nname = "quiet"\nroster = "roster.csv"\n')
        office.made["course"] = str(course)
        office.made["secret"] = key["key"]
        office.made["request"] = server.made("GET", "/requests")["data"][0]["id"]
        office.made["hash"] = mock.requests()[-1]["body"]["safety_identifier"]
        server.made("POST", "/holds", {"member": member["id"], "reason": "a complaint"})
        webhook = server.made("POST", "/webhooks", {"url": "https://localhost:1/", "reach": "any"})
        office.made["webhook"] = webhook["id"]
        office.made["flag"] = flag(server, member["id"])
        _wait_for(server, f"/webhooks/{webhook['id']}/deliveries")
        assert office.run("group", "edit", "quiet", "--pseudonyms").exit_code == 0
        yield office
    finally:
        server.stop()
        mock.stop()


@pytest.mark.parametrize("command", [*READING, *CHANGING])
def test_no_command_names_a_member(office: Office, command: str) -> None:
    """P11: to the operator, as a table, as JSON and as CSV."""
    arguments = (*command.split(), *({**READING, **CHANGING})[command])
    options = {option for p in _command(command).params for option in p.opts}
    forms = [form for form in ("--json", "--csv") if form in options and command in READING]

    for form in ("", *forms):
        printed = office.printed(*arguments, *([form] if form else []))
        mine = [who for who in WHO if who.casefold() in printed.casefold()]
        assert not mine, (command, form, printed)


def test_a_member_is_named_by_pseudonym_where_an_external_id_is(office: Office) -> None:
    """P11."""
    pseudonym = pseudonym_of(office.made["member"])

    assert pseudonym in office.printed("member", "list", "--group", "quiet")
    assert pseudonym in office.printed("member", "show", f"quiet/{pseudonym}")
    assert pseudonym in office.printed("usage", "statement", "--group", "quiet")


def test_a_reason_opens_it(office: Office) -> None:
    """P11."""
    pseudonym = pseudonym_of(office.made["member"])

    opened = office.printed("member", "identity", f"quiet/{pseudonym}", "--reason", "a warning")
    found = office.printed("member", "identity", "--external-id", WHO[0], "--reason", "a warning")

    for printed in (opened, found):
        assert all(who in printed for who in WHO)
        assert pseudonym in printed
    assert "member.identity" in office.printed("audit")
    stranger = office.run("member", "identity", "--external-id", "nobody", "--reason", "a warning")
    assert stranger.exit_code == 1
    assert office.run("member", "identity", "--reason", "a warning").exit_code == 2


def test_a_course_file_of_it_holds_its_policy_and_is_applied_as_such(office: Office) -> None:
    """P11: neither pauses nor renames people whom it cannot compare."""
    exported = office.printed("group", "export", "quiet")
    assert "member" not in exported.replace("members", "")
    assert "pseudonyms = true" in exported
    refused = office.run("group", "export", "quiet", "--roster", "people.csv")
    assert refused.exit_code == 1
    assert "pseudonyms" in refused.output

    applied = office.run("apply", office.made["course"], "--pause-missing")

    assert applied.exit_code == 0, applied.output
    assert "not compared" in applied.output
    assert office.run("member", "show", "{member}").output.count("active") == 1


def test_members_go_in_and_the_answer_says_how_many(office: Office, tmp_path: Path) -> None:
    """P11."""
    roster = tmp_path / "second.csv"
    roster.write_text(SECOND)

    taken = office.printed("member", "import", str(roster), "--group", "quiet")
    created = office.printed("member", "create", "OTHER-2", "--group", "quiet")

    assert "1 member is in" in taken
    assert "In the group, not in the file" in taken
    assert "1 member is in" in created


def _wait_for(server: Server, path: str) -> None:
    """Until it lists something."""
    ends = time.monotonic() + 20
    while not server.made("GET", path)["data"]:
        assert time.monotonic() < ends, path
        time.sleep(0.1)


def _command(path: str) -> click.Command:
    command: click.Command = cli
    for name in path.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command
