"""Handing mails over to a real server: what is verified, and what is known after each way to fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.certificates import self_signed
from tests.support.smtp_server import MailServer, mail_server
from tuckshop.mailing.smtp import MailServerError, Outcome, Smtp
from tuckshop.mailing.smtp_url import SmtpServer, parse_smtp_url
from tuckshop.upstreams.tls import client_context

MESSAGE = b"Subject: hello\r\n\r\nhello\r\n.\r\nend\r\n"
PASSWORD = "s3cret-CANARY"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as one:
        yield one


def client(url: str, ca_file: Path | None = None) -> Smtp:
    tls = partial(client_context, ca_file, protocols=())
    return Smtp(parse_smtp_url(url), hello="example.org", tls=tls, timeout_s=5)


def with_starttls(server: MailServer, *, login: bool = False) -> SmtpServer:
    """As `parse_smtp_url` gives it for a server on another machine; the test's stands on this one."""
    user, password = ("ada", PASSWORD) if login else (None, None)
    return SmtpServer(
        host="localhost", port=server.port, security="starttls", user=user, password=password
    )


def deliver(smtp: Smtp, recipient: str = "ada@example.org") -> Outcome:
    smtp.ready()
    return smtp.deliver(MESSAGE, sender="t@example.org", recipient=recipient)


def test_mails_follow_one_another_over_one_connection(server: MailServer) -> None:
    smtp = client(server.url())

    results = [deliver(smtp, f"{name}@example.org").result for name in "abc"]
    smtp.close()

    assert results == ["sent"] * 3
    assert server.connections == 1
    assert server.recipients() == ["a@example.org", "b@example.org", "c@example.org"]
    assert server.received[0].raw == MESSAGE


@pytest.mark.parametrize("at_once", [True, False])
def test_tls_and_a_login(tmp_path: Path, at_once: bool) -> None:
    pair = self_signed(tmp_path, "localhost")
    with mail_server(
        MailServer(certificate=pair, tls_at_once=at_once, login=("ada", PASSWORD))
    ) as server:
        smtp = (
            client(server.url(login=f"ada:{PASSWORD}@"), pair[0])
            if at_once
            else Smtp(
                with_starttls(server, login=True),
                hello="example.org",
                tls=partial(client_context, pair[0], protocols=()),
            )
        )
        assert deliver(smtp).result == "sent"
        smtp.close()


def test_a_server_from_whose_offer_starttls_was_stripped_gets_nothing(server: MailServer) -> None:
    smtp = Smtp(with_starttls(server, login=True), hello="example.org", tls=client_context)

    with pytest.raises(MailServerError, match="STARTTLS"):
        smtp.ready()

    assert "AUTH" not in server.commands
    assert "MAIL" not in server.commands


def test_a_certificate_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    pair = self_signed(tmp_path, "localhost")
    with mail_server(MailServer(certificate=pair, tls_at_once=True)) as server:
        smtp = client(server.url(login=f"ada:{PASSWORD}@"))

        with pytest.raises(MailServerError, match="no certificate that this machine trusts"):
            smtp.ready()

        assert server.commands == []


def test_a_certificate_of_another_name_gets_nothing(tmp_path: Path) -> None:
    pair = self_signed(tmp_path, "elsewhere.example.org")
    with mail_server(MailServer(certificate=pair, tls_at_once=True)) as server:
        smtp = client(server.url(), pair[0])

        with pytest.raises(MailServerError, match="no certificate that this machine trusts"):
            smtp.ready()


def test_a_wrong_password_is_told_without_it() -> None:
    """K2."""
    with mail_server(MailServer(login=("ada", "another"))) as server:
        smtp = client(server.url(login=f"ada:{PASSWORD}@"))

        with pytest.raises(MailServerError, match="lets nobody in: 535") as refused:
            smtp.ready()

        assert PASSWORD not in str(refused.value)
        assert PASSWORD not in repr(smtp.server)
        assert PASSWORD not in str(smtp.server)


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(MailServerError, match="cannot be used"):
        client("smtp://127.0.0.1:9").ready()


@pytest.mark.parametrize(
    ("told", "result"),
    [
        ("450 4.2.1 later", "deferred"),
        ("421 closing", "deferred"),
        ("550 5.1.1 no such user", "refused"),
    ],
)
def test_a_recipient_is_put_off_or_refused(server: MailServer, told: str, result: str) -> None:
    server.rcpt["ada@example.org"] = told

    assert deliver(client(server.url())) == Outcome(result, told)  # type: ignore[arg-type]
    assert server.received == []


@pytest.mark.parametrize(("told", "result"), [("451 later", "deferred"), ("554 spam", "refused")])
def test_a_mail_is_put_off_or_refused(server: MailServer, told: str, result: str) -> None:
    server.data = told

    assert deliver(client(server.url())).result == result


def test_a_sender_whom_the_server_does_not_know_is_our_trouble_not_the_mails(
    server: MailServer,
) -> None:
    server.mail = "550 5.7.1 you are not allowed to send as this"

    assert deliver(client(server.url())).result == "server"


@pytest.mark.parametrize(
    ("where", "result"),
    [("MAIL", "deferred"), ("RCPT", "deferred"), ("DATA", "deferred"), ("END", "unknown")],
)
def test_only_a_mail_whose_text_had_left_is_unknown(
    server: MailServer, where: str, result: str
) -> None:
    server.break_off = where

    assert deliver(client(server.url())).result == result


def test_a_connection_that_died_meanwhile_is_made_anew(server: MailServer) -> None:
    smtp = client(server.url())
    assert deliver(smtp).result == "sent"
    server.break_off = "NOOP"

    assert deliver(smtp).result == "sent"
    assert server.connections == 2
    smtp.close()


def test_a_server_that_does_not_say_goodbye_is_not_waited_for(server: MailServer) -> None:
    server.mute = "QUIT"
    smtp = client(server.url())
    smtp.ready()

    began_s = time.monotonic()
    smtp.close()

    assert time.monotonic() - began_s < 4  # a command may take 5 s here, and 20 in a server
    assert not smtp.is_open
