"""What `tuckshop mail` asks the server, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import MEMBER, FakeServer, page

MAIL: dict[str, Any] = {
    "id": "mai_1",
    "kind": "invite",
    "group": "grp_1",
    "member": None,
    "to": "ada@example.org",
    "state": "queued",
    "attempts": 0,
    "queued_at": "2026-11-24T10:00:00Z",
    "due_at": "2026-11-24T10:00:00Z",
    "tried_at": None,
    "told": None,
}
STANDS: dict[str, Any] = {
    "counts": {"queued": 2, "sent": 5},
    "last_day": 5,
    "per_day": 2000,
    "trouble": "smtp://mail.example.org:587 cannot be used: refused",
}
REPORT: dict[str, Any] = {
    "dry_run": False,
    "mails": 2,
    "skipped": 1,
    "last_at": "2026-11-24T10:05:00Z",
    "data": [
        {
            "member": "mem_2",
            "external_id": "4712",
            "reason": "no_address",
            "message": "has no e-mail address",
        }
    ],
}


def test_an_invitation_is_ordered_with_a_text_from_a_file(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("Subject: a\n\n{link}\n", encoding="utf-8")
    server.will_answer(page(MEMBER)).will_answer(REPORT)

    result = run(
        *("mail", "invite", "--group", "swa", "--to-member", "4711", "--template", "text.txt"),
        *("--language", "de", "--again", "--dry-run"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert server.asked[1].target == "/api/v1/groups/swa/mail"
    assert server.asked[1].body == {
        "kind": "invite",
        "members": ["mem_1"],
        "template": "Subject: a\n\n{link}\n",
        "language": "de",
        "again": True,
        "dry_run": True,
    }
    assert "4712" in result.stdout
    assert "2 mails would be sent, 1 not" in result.stderr


def test_an_order_says_when_its_last_mail_goes_out(run: Run, server: FakeServer) -> None:
    server.will_answer(REPORT)

    result = run("mail", "rotated", "--group", "swa", environment=server.environment())

    assert server.asked[0].body == {"kind": "rotated", "again": False, "dry_run": False}
    assert "2 mails are queued, the last goes out about 2026-11-24 10:05 UTC" in result.stderr


def test_a_preview_is_printed_as_a_mail_and_obeys_nothing(run: Run, server: FakeServer) -> None:
    """K13."""
    server.will_answer(
        {"sender": "t@e.org", "to": "a@e.org", "subject": "S\x1b[2J", "text": "one\n\x1b[31mtwo\n"}
    )

    result = run("mail", "preview", "--group", "swa", environment=server.environment())

    assert result.stdout == (
        "From: t@e.org\nTo: a@e.org\nSubject: S\\u001b[2J\n\none\n\\u001b[31mtwo\n"
    )


@pytest.mark.parametrize(("state", "code"), [("sent", 0), ("failed", 1)])
def test_a_test_that_fails_is_told_by_the_status(
    run: Run, server: FakeServer, state: str, code: int
) -> None:
    server.will_answer(MAIL | {"kind": "test", "state": state, "told": "450 later"})

    result = run("mail", "test", "ada@example.org", environment=server.environment())

    assert result.exit_code == code
    assert "450 later" in result.stderr


def test_the_queue_is_listed_with_how_it_stands(run: Run, server: FakeServer) -> None:
    server.will_answer(page(MAIL) | STANDS).will_answer(page(MAIL) | STANDS).will_answer(page())

    result = run("mail", "list", "--state", "queued", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert "ada@example.org" in result.stdout
    assert "2 queued, 5 sent. In the last 24 hours 5 of 2,000 were sent." in result.stderr
    assert "No mails are sent for now: smtp://mail.example.org:587" in result.stderr


def test_staff_of_a_group_are_told_no_sum_over_all_groups(run: Run, server: FakeServer) -> None:
    stands = STANDS | {"last_day": None}
    server.will_answer(page(MAIL) | stands).will_answer(page(MAIL) | stands).will_answer(page())

    result = run("mail", "list", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert "In the last 24 hours" not in result.stderr


def test_all_of_a_group_are_cancelled_or_retried(run: Run, server: FakeServer) -> None:
    server.will_answer(page(MAIL)).will_answer(MAIL | {"state": "cancelled"})

    result = run("mail", "cancel", "--group", "swa", environment=server.environment())

    assert result.stderr == "Mails cancelled: 1.\n"
    assert server.asked[0].target.startswith("/api/v1/mail?group=swa&state=queued")
    assert server.asked[1].target == "/api/v1/mail/mai_1/cancel"


@pytest.mark.parametrize(
    "arguments",
    [
        ("mail", "invite"),
        ("mail", "retry"),
        ("mail", "retry", "--group", "swa"),
        ("mail", "cancel"),
        ("mail", "cancel", "mai_1", "--group", "swa"),
    ],
)
def test_what_names_nobody_is_used_wrongly(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2
