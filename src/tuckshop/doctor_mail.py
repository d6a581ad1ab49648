"""What `tuckshop doctor` finds out about mail: whether links can be sent, and the mail server lets us in."""

from __future__ import annotations

from collections.abc import Iterator

from tuckshop.finding import Finding
from tuckshop.mailing.smtp import MailServerError
from tuckshop.settings import Settings
from tuckshop.ways_out import mail_way


def examine_mail(settings: Settings) -> Iterator[Finding]:
    """Whether mails that are set up can hold links. Nothing is said where mail is not set up."""
    if settings.smtp_url is not None and settings.public_url is None:
        yield Finding(
            "warning",
            "mail",
            "mails with links cannot be built without an address of this server",
            "set TUCKSHOP_PUBLIC_URL to how people reach it",
        )


def ask_mail_server(settings: Settings) -> Iterator[Finding]:
    """Whether the mail server can be reached, is who it should be, and lets us in. No mail is sent."""
    way = mail_way(settings)
    if way is None:
        return
    try:
        way.smtp.ready()
    except MailServerError as error:
        yield Finding("bad", "mail", str(error), "set TUCKSHOP_SMTP_URL right")
        return
    way.smtp.close()
    yield Finding("ok", "mail", f"{way.smtp.server} lets us in")
