"""A mail server over real sockets that does as told: offers TLS or not, asks for a login, puts off, breaks off."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path


@dataclass
class Received:
    """A mail that was taken."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.raw, policy=default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def text(self) -> str:
        content = self.message.get_content()
        assert isinstance(content, str)
        return content.replace("\r\n", "\n")


@dataclass
class MailServer:
    """What it is to do, and what came."""

    certificate: tuple[Path, Path] | None = None  # offers STARTTLS with it
    tls_at_once: bool = False
    login: tuple[str, str] | None = None  # asks for it
    rcpt: dict[str, str] = field(default_factory=dict)  # recipient → the answer to RCPT
    mail: str = "250 ok"  # the answer to MAIL
    data: str = "250 taken"  # the answer to a whole mail
    break_off: str = (
        ""  # "MAIL", "RCPT", "DATA": hang up instead of answering; "END": after the text came
    )
    mute: str = ""  # a command to which it never says anything
    hold_s: float = 0.0  # how long it keeps a mail before it answers
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    port: int = 0
    _open: list[socket.socket] = field(default_factory=list)

    def url(self, query: str = "", *, host: str = "localhost", login: str = "") -> str:
        return f"{'smtps' if self.tls_at_once else 'smtp'}://{login}{host}:{self.port}{query}"

    def recipients(self) -> list[str]:
        return [one.recipient for one in self.received]

    def serve(self, connection: socket.socket) -> None:
        """Talk to one client, to the end."""
        with ExitStack() as closing, suppress(OSError):
            self._talk(connection, closing)

    def hang_up(self) -> None:
        """End all connections."""
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _kept(self, connection: socket.socket, closing: ExitStack) -> socket.socket:
        self._open.append(connection)
        closing.callback(connection.close)
        return connection

    def _context(self) -> ssl.SSLContext:
        assert self.certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        return context

    def _talk(self, connection: socket.socket, closing: ExitStack) -> None:
        self.connections += 1
        is_tls = self.tls_at_once
        connection = self._kept(connection, closing)
        if is_tls:
            connection = self._kept(
                self._context().wrap_socket(connection, server_side=True), closing
            )
        lines = connection.makefile("rb")
        sender = recipient = ""
        is_in = self.login is None

        def say(text: str) -> None:
            connection.sendall(f"{text}\r\n".encode())

        say("220 test ESMTP")
        while line := lines.readline():
            verb, _, rest = line.decode("ascii").strip().partition(" ")
            verb = verb.upper()
            self.commands.append(verb)
            if self.break_off == verb:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                return
            if self.mute == verb:
                continue
            if verb == "EHLO":
                offers = ["test"]
                if self.certificate is not None and not is_tls:
                    offers.append("STARTTLS")
                if self.login is not None:
                    offers.append("AUTH PLAIN")
                for number, offer in enumerate(offers, 1):
                    say(f"250{' ' if number == len(offers) else '-'}{offer}")
            elif verb == "STARTTLS":
                say("220 go on")
                lines.close()
                connection = self._kept(
                    self._context().wrap_socket(connection, server_side=True), closing
                )
                lines, is_tls = connection.makefile("rb"), True
            elif verb == "AUTH":
                sent = base64.b64decode(rest.partition(" ")[2]).decode()
                is_in = sent == "\0" + "\0".join(self.login or ())
                say("235 in" if is_in else "535 5.7.8 no such user or password")
            elif verb == "MAIL":
                sender = rest.partition("<")[2].partition(">")[0]
                say(self.mail if is_in else "530 log in first")
            elif verb == "RCPT":
                recipient = rest.partition("<")[2].partition(">")[0]
                say(self.rcpt.get(recipient, "250 ok"))
            elif verb == "DATA":
                say("354 go on")
                raw = b""
                while (part := lines.readline()) not in (b".\r\n", b""):
                    raw += part.removeprefix(b".")
                if self.data.startswith("250"):
                    self.received.append(Received(sender, recipient, raw))
                if self.break_off == "END":
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                    return
                came_s = time.monotonic()
                while time.monotonic() < came_s + self.hold_s:  # which a test may lower
                    time.sleep(0.005)
                say(self.data)
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@contextmanager
def mail_server(server: MailServer | None = None) -> Iterator[MailServer]:
    """One on a port of its own."""
    server = server or MailServer()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        server.port = listening.getsockname()[1]
        over = threading.Event()
        threads: list[threading.Thread] = []

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                connection.settimeout(20)
                thread = threading.Thread(target=server.serve, args=(connection,))
                thread.start()
                threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            over.set()
            accepting.join()
            server.hang_up()
            for thread in threads:
                thread.join()
