"""A stop while a mail is on its way."""

from __future__ import annotations

import asyncio
import ssl
import threading

import pytest

from tests.support.fake_clock import FakeClock
from tuckshop.mailing import sender as sender_module
from tuckshop.mailing.message import Letter
from tuckshop.mailing.sender import Ended, Sender, Taken
from tuckshop.mailing.smtp import MailServerError, Smtp
from tuckshop.mailing.smtp_url import parse_smtp_url

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class OneMail:
    """A queue in which a mail waits for ever."""

    async def wait_s(self) -> float | None:
        return 0.0

    async def take(self) -> Taken | None:
        raise AssertionError("there is no connection to send it over")

    async def end(self, mail_id: str, state: Ended, told: str) -> None:
        raise AssertionError("nothing came of it")

    async def put_back(self, mail_id: str, pause_s: float, told: str) -> None:
        raise AssertionError("it was never taken")


class NoWriter:
    async def write(self, taken: Taken) -> Letter:
        raise AssertionError("nothing was taken")


class Dialling(Smtp):
    """There is nothing to be broken off yet when it is first told to; from the third time on there is."""

    def __init__(self) -> None:
        super().__init__(parse_smtp_url("smtp://127.0.0.1:9"), hello="x", tls=_no_tls)
        self.begun = threading.Event()
        self.aborts = 0
        self.broken = threading.Event()

    def ready(self) -> None:
        self.begun.set()
        assert self.broken.wait(20), "nobody broke it off"
        raise MailServerError("broken off")

    def abort(self) -> None:
        self.aborts += 1
        if self.aborts == 3:
            self.broken.set()


def _no_tls() -> ssl.SSLContext:
    raise AssertionError("there is no TLS here")


async def test_a_mail_that_is_still_being_dialled_for_does_not_hold_up_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender_module, "GRACE_S", 0.05)
    smtp = Dialling()
    sender = Sender(OneMail(), NoWriter(), smtp, FakeClock(), per_minute=60)
    sender.start()
    await asyncio.to_thread(smtp.begun.wait, 10)

    async with asyncio.timeout(10):
        await sender.close()

    assert smtp.aborts == 3
