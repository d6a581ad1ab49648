"""Texts of mails: placeholders are replaced by plain text, once, and nothing else happens (K7, K13)."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.errors import InvalidFieldError
from tuckshop.mailing.address import Mailbox
from tuckshop.mailing.message import Letter, message_of
from tuckshop.mailing.policy import Language
from tuckshop.services.mail_templates import PLACEHOLDERS, Kind, parse_template
from tuckshop.services.mail_texts import text_of

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=80)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("Hallo {name}\n{link}\n", "Subject:"),
        ("Subject:\n\n{link}\n", "Subject:"),
        ("Subject: a\n\n{name}, {nmae}: {link}\n", "line 3: there is no {nmae}"),
        ("Subject: a\n\n{name.__class__} {link}\n", "there is no {name.__class__}"),
        ("Subject: a\n\n{name!r:>99999} {link}\n", "there is no {name!r:>99999}"),
        ("Subject: a\n\n{0} {link}\n", "there is no {0}"),
        ("Subject: a\n\n{} {link}\n", "there is no {}"),
        ("Subject: a\n\nhello\n", "no {link}"),
        ("Subject: {link}\n\n{link}\n", "logs"),
        ("Subject: a\n\n", "no text"),
        ("Subject: a\n\n\0{link}\n", "control"),
        ("Subject: a\n\n{link}" + "x" * 20_000, "longer"),
    ],
)
def test_a_text_that_cannot_be_filled_is_refused(template: str, told: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        parse_template(template, "invite")

    assert told in str(refused.value)


def test_files_of_any_editor_are_read() -> None:
    one = parse_template("\ufeffsubject: Hi\r\n\r\nTo {name}: {link}\r\n", "invite")

    assert str(one) == "Subject: Hi\n\nTo {name}: {link}\n"


def test_braces_are_written_twice() -> None:
    one = parse_template('Subject: a\n\n{{"model": {models}}} {link} {\n', "invite")

    assert one.filled({"models": "m", "link": "l"}).text == '{"model": m} l {\n'


def test_our_own_texts_can_be_filled_and_read_back() -> None:
    for kind in get_args(Kind):
        for language in get_args(Language):
            template = text_of(kind, language)
            filled = template.filled(dict.fromkeys(PLACEHOLDERS[kind], "x"))
            assert "{" not in filled.text + filled.subject
            assert parse_template(str(template), kind) == template
            assert all(len(line) <= 100 for line in template.text.splitlines())


@given(name=ANY_TEXT)
def test_what_is_put_in_is_not_read_again(name: str) -> None:
    one = parse_template("Subject: s\n\n[{name}] {link}\n", "invite")

    assert one.filled({"name": name, "link": "L"}).text == f"[{name}] L\n"


@given(name=ANY_TEXT, course=ANY_TEXT, text=ANY_TEXT)
def test_no_name_and_no_title_makes_a_header(name: str, course: str, text: str) -> None:
    """K13: whatever stands in a roster, a mail has the header fields that we gave it, and one recipient."""
    template = parse_template("Subject: {course} for {name}\n\n{name} {link}\n", "invite")
    filled = template.filled({"name": name, "course": course, "link": text})
    letter = Letter(
        sender=Mailbox("t@example.org", "Tuckshop"),
        reply_to="help@example.org",
        recipient=Mailbox("ada@example.org", name),
        subject=filled.subject,
        text=filled.text,
    )

    raw = message_of(letter, mail_id="mai_1", at_us=1_795_500_000_000_000)

    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    head = raw.partition(b"\r\n\r\n")[0]
    fields = [
        line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))
    ]
    assert fields == [
        *(b"From", b"To", b"Reply-To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted"),
        *(b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"),
    ]
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    assert [one.addr_spec for one in message["To"].addresses] == ["ada@example.org"]
