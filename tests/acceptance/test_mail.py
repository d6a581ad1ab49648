"""Mail from outside: links arrive and open, nobody is written to twice whatever kills the server, and doctor looks."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.processes import COMMAND, Server, call, clean_environment, start_server
from tests.support.smtp_server import MailServer, mail_server

PEOPLE = 16
PASSWORD = "smtp-CANARY-0123456789"


def settings_of(mail: MailServer) -> dict[str, Any]:
    return {
        "TUCKSHOP_SMTP_URL": mail.url(login=f"ada:{PASSWORD}@"),
        "TUCKSHOP_MAIL_FROM": "Tuckshop <tuckshop@example.org>",
        "TUCKSHOP_MAIL_PER_MINUTE": "60000",
        "TUCKSHOP_PUBLIC_URL": "http://127.0.0.1:8000",
    }


def counts(server: Server) -> dict[str, int]:
    found: dict[str, int] = server.made("GET", "/mail?limit=1")["counts"]
    return found


def wait_for(server: Server, *, no: tuple[str, ...], seconds: float = 20) -> dict[str, int]:
    """How many mails are in which state, once there are none in these."""
    deadline = time.monotonic() + seconds
    while any(counts(server).get(state) for state in no):
        assert time.monotonic() < deadline, counts(server)
        time.sleep(0.05)
    return counts(server)


def with_people(server: Server) -> None:
    server.made("POST", "/groups", {"name": "swa", "title": "Software"})
    rows = [{"external_id": f"{n:04}", "email": f"p{n:04}@uni-example.org"} for n in range(PEOPLE)]
    server.made("POST", "/groups/swa/members", rows)


def test_kill_9_in_mid_queue_sends_each_mail_at_most_once(tmp_path: Path) -> None:
    with mail_server(MailServer(login=("ada", PASSWORD), hold_s=0.03)) as mail:
        server = start_server(tmp_path, None, **settings_of(mail))
        with_people(server)
        assert server.made("POST", "/groups/swa/mail", {"kind": "invite"})["mails"] == PEOPLE

        deadline = time.monotonic() + 20
        while len(mail.received) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        server.kill()
        server = start_server(tmp_path, None, **settings_of(mail))
        found = wait_for(server, no=("queued", "sending"))

        arrived = Counter(mail.recipients())
        assert max(arrived.values()) == 1
        assert found.get("unknown", 0) <= 1  # what was on its way
        assert found["sent"] + found.get("unknown", 0) == PEOPLE
        assert PEOPLE - 1 <= len(arrived) <= PEOPLE
        assert server.stop() == 0
        assert PASSWORD not in server.log.read_text()


def test_an_invitation_is_opened_and_its_member_is_told(tmp_path: Path) -> None:
    with mail_server(MailServer(login=("ada", PASSWORD))) as mail:
        server = start_server(tmp_path, None, **settings_of(mail))
        try:
            server.made("POST", "/groups", {"name": "swa", "title": "Software"})
            server.made(
                "POST",
                "/groups/swa/members",
                {"external_id": "4711", "name": "Ada", "email": "ada@uni-example.org"},
            )
            server.made("POST", "/groups/swa/mail", {"kind": "invite"})
            wait_for(server, no=("queued", "sending"))
            link = next(line for line in mail.received[0].text.splitlines() if "/claim/#" in line)
            opened = open_link(server, link.partition("#")[2])
            wait_for(server, no=("queued", "sending"))

            assert opened["key"].startswith("sk-tuck-")
            assert [one.message["Subject"] for one in mail.received] == [
                "Your key for Software",
                "Your key for Software was picked up",
            ]
            assert "Hello Ada," in mail.received[1].text
            assert (
                'tuckshop_mails_total{state="sent"} 2.0' in call("GET", f"{server.url}/metrics")[1]
            )
            assert opened["key"] not in "".join(one.text for one in mail.received)
        finally:
            assert server.stop() == 0


def test_a_mail_server_that_hangs_delays_no_shutdown_for_long(tmp_path: Path) -> None:
    with mail_server(MailServer(login=("ada", PASSWORD), hold_s=15)) as mail:
        server = start_server(tmp_path, None, **settings_of(mail))
        with_people(server)
        server.made("POST", "/groups/swa/mail", {"kind": "invite"})
        deadline = time.monotonic() + 20
        while not mail.received:
            assert time.monotonic() < deadline
            time.sleep(0.01)

        began_s = time.monotonic()
        assert server.stop() == 0
        took_s = time.monotonic() - began_s
        mail.hold_s = 0

        again = start_server(tmp_path, None, **settings_of(mail))
        found = wait_for(again, no=("queued", "sending"))
        assert again.stop() == 0
        assert took_s < 10
        assert found == {"sent": PEOPLE - 1, "unknown": 1}
        assert max(Counter(mail.recipients()).values()) == 1


def test_doctor_and_config_look_and_tell_no_password(tmp_path: Path) -> None:
    """K2."""
    with mail_server(MailServer(login=("ada", PASSWORD))) as mail:
        good = doctor(tmp_path, settings_of(mail))
        bad = doctor(
            tmp_path, settings_of(mail) | {"TUCKSHOP_SMTP_URL": mail.url(login="ada:wrong@")}
        )
        config = command(tmp_path, settings_of(mail), "config", "--changed")

    assert good["level"] == "ok"
    assert mail.received == []
    assert bad["level"] == "bad"
    assert "535" in bad["what"]
    assert f"smtp://…@localhost:{mail.port}" in config
    assert PASSWORD not in config + json.dumps([good, bad])


def open_link(server: Server, secret: str) -> dict[str, Any]:
    """As the page does it."""
    request = urllib.request.Request(
        f"{server.url}/api/v1/claim",
        data=json.dumps({"secret": secret}).encode(),
        headers={"content-type": "application/json", "sec-fetch-site": "same-origin"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        found: dict[str, Any] = json.loads(reply.read())
        return found


def doctor(folder: Path, settings: dict[str, str]) -> dict[str, Any]:
    """What `tuckshop doctor --online` finds about mail."""
    findings = json.loads(command(folder, settings, "doctor", "--online", "--json"))["findings"]
    found: dict[str, Any] = next(one for one in findings if one["subject"] == "mail")
    return found


def command(folder: Path, settings: dict[str, str], *arguments: str) -> str:
    environment = clean_environment() | settings | {"TUCKSHOP_DATA": str(folder / "none")}
    done = subprocess.run(
        [str(COMMAND), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )
    return done.stdout
