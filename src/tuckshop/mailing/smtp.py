"""
Handing mails to a server by SMTP, over one connection that stays open while mails follow one another.

Everything here blocks and runs in a thread, but for `abort`. What is known after an attempt is told exactly: a mail is
`Unknown` only if the connection broke after its text had begun to leave, since the server may then have it.
"""

from __future__ import annotations

import contextlib
import os
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from tuckshop.domain.errors import TuckshopError
from tuckshop.mailing.address import one_line
from tuckshop.mailing.smtp_url import SmtpServer

TIMEOUT_S: Final = 20.0  # of each step; RFC 5321 would wait for minutes
_GOODBYE_S: Final = 1.0  # nothing depends on its answer, and a stop may wait for it
TOLD_MAX_CHARACTERS: Final = 300
_SEND_NOW: Final = 354
_CODE: Final = re.compile(r"(?:^|: |\()([2-5][0-9]{2})(?=[ ,]|$)")  # where answers begin

# refused: it will never take this mail. deferred: not now. unknown: it may have it. server: it takes no mail of ours.
Result = Literal["sent", "refused", "deferred", "unknown", "server"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    result: Result
    told: str = ""  # by the server, in its own words


def code_in(told: str) -> str | None:
    """
    The code of a mail server's answer in what was told of a mail, such as 550; None: there is none.

    The rest are the server's own words, which often repeat the address: no log may hold them (P1).
    """
    found = _CODE.search(told)
    return None if found is None else found[1]


class MailServerError(TuckshopError):
    """The server cannot be reached, is not who it should be, or does not let us in: no mail can be handed over."""


class _Dialogue(smtplib.SMTP):
    """Remembers the last answer, which tells how far a mail had come when a connection breaks."""

    last_code = 0

    def getreply(self) -> tuple[int, bytes]:
        code, text = super().getreply()
        self.last_code = code
        return code, text


class _TlsDialogue(_Dialogue, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class Smtp:
    """One server, and the connection to it."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        hello: str,
        tls: Callable[[], ssl.SSLContext],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """
        Nothing is dialled before `ready`.

        Args:
            hello: How we name ourselves.
            tls: Makes the context that verifies the server, when it is first needed.
        """
        self.server = server
        self._hello = hello
        self._tls = tls
        self._timeout_s = timeout_s
        self._context: ssl.SSLContext | None = None
        self._dialogue: _Dialogue | None = None

    @property
    def is_open(self) -> bool:
        """Does a connection stand, as far as we know?"""
        return self._dialogue is not None

    def ready(self) -> None:
        """
        Have a connection over which mail can be handed over: the one that stands, if it still answers.

        Raises:
            MailServerError: There is none to be had.
        """
        if self._dialogue is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if self._dialogue.noop()[0] == 250:
                    return
            self.close()
        try:
            self._connect()
        except MailServerError:
            self.close()
            raise
        except smtplib.SMTPResponseException as error:
            self.close()
            told = self._told(error.smtp_code, error.smtp_error)
            raise MailServerError(f"{self.server} lets nobody in: {told}") from None
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise MailServerError(
                f"{self.server} has no certificate that this machine trusts ({error.verify_message});"
                " TUCKSHOP_CA_FILE names further authorities"
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise MailServerError(f"{self.server} cannot be used: {self._why(error)}") from None

    def deliver(self, message: bytes, *, sender: str, recipient: str) -> Outcome:
        """Hand over one message. `ready` must have been called; what fails leaves no connection behind."""
        dialogue = self._dialogue
        assert dialogue is not None, "ready() comes first"
        outcome = self._delivered(dialogue, message, sender, recipient)
        if outcome.result != "sent":
            self.close()
        return outcome

    def close(self) -> None:
        """Say goodbye and let go."""
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is None:
            return
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if dialogue.sock is not None:
                dialogue.sock.settimeout(_GOODBYE_S)
            dialogue.quit()
        dialogue.close()

    def abort(self) -> None:
        """End what another thread waits for: its connection breaks at once. On any thread."""
        dialogue = self._dialogue
        connection = None if dialogue is None else dialogue.sock
        if connection is None:
            return
        # By a descriptor of our own: a TLS connection must not be touched by two threads.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as own:
            own.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> None:
        server = self.server
        if server.security != "none" and self._context is None:
            self._context = self._tls()
        # Known before it is dialled, so that `abort` finds it.
        dialogue = self._dialogue = (
            _TlsDialogue(local_hostname=self._hello, timeout=self._timeout_s, context=self._context)
            if server.security == "tls"
            else _Dialogue(local_hostname=self._hello, timeout=self._timeout_s)
        )
        # The name that TLS verifies; only a constructor that dials sets it.
        dialogue._host = server.host  # type: ignore[attr-defined]
        code, told = dialogue.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, told)
        dialogue.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            if not dialogue.has_extn("starttls"):
                raise MailServerError(
                    f"{server} does not offer STARTTLS, so nothing is sent: take smtps:// or another port"
                )
            dialogue.starttls(context=self._context)
            dialogue.ehlo()
        if server.user is not None and server.password is not None:
            dialogue.login(server.user, server.password)

    def _delivered(
        self, dialogue: _Dialogue, message: bytes, sender: str, recipient: str
    ) -> Outcome:
        try:
            code, told = dialogue.mail(sender)
            if code != 250:
                # It is we who may not write: the next mail would fare no better.
                return Outcome("server", self._told(code, told))
            code, told = dialogue.rcpt(recipient)
            if code not in (250, 251):
                return self._refused(code, told)
            code, told = dialogue.data(message)
        except smtplib.SMTPDataError as error:
            return self._refused(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            why = self._why(error)
            if dialogue.last_code == _SEND_NOW:
                return Outcome("unknown", f"the connection broke while it was handed over: {why}")
            return Outcome("deferred", f"the connection broke: {why}")
        return Outcome("sent", self._told(code, told)) if code == 250 else self._refused(code, told)

    def _refused(self, code: int, told: bytes | str) -> Outcome:
        return Outcome("refused" if 500 <= code < 600 else "deferred", self._told(code, told))

    def _told(self, code: int, told: bytes | str) -> str:
        text = told.decode("ascii", "replace") if isinstance(told, bytes) else told
        return self._clean(f"{code} {text}")

    def _why(self, error: Exception) -> str:
        return self._clean(str(error)) or type(error).__name__

    def _clean(self, text: str) -> str:
        """What a server said: one line, not long, and without our password, should it repeat it."""
        if self.server.password:
            text = text.replace(self.server.password, "…")
        return one_line(text)[:TOLD_MAX_CHARACTERS]
