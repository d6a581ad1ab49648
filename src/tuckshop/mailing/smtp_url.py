"""The mail server, as the operator names it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

Security = Literal["tls", "starttls", "none"]

_PORTS: Final = {"tls": 465, "starttls": 587, "none": 25}
_EXPECTED: Final = "a mail server is named as smtp://USER:PASSWORD@HOST:587 or smtps://…:465"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mail is handed over, and how."""

    host: str
    port: int
    security: Security  # tls from the first byte, by STARTTLS or not at all
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """As it was named, without user and password: for logs and people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "smtps" if self.security == "tls" else "smtp"
        login = "" if self.user is None else "…@"
        plain = "?tls=none" if self.security == "none" else ""
        return f"{scheme}://{login}{host}:{self.port}{plain}"


def parse_smtp_url(text: str) -> SmtpServer:
    """
    The server that *text* names.

    ``smtps://`` speaks TLS at once, ``smtp://`` by STARTTLS, which the server then must offer. Without any TLS: a
    server on this machine, or one named with ``?tls=none``, which takes no password.

    Raises:
        ValueError: It names none. The message holds nothing of *text*, which may be a secret.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except (ValueError, UnicodeError):  # their own messages may quote a password
        raise ValueError(_EXPECTED) from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path not in ("", "/"):
        raise ValueError(_EXPECTED)
    if parts.fragment or parts.query not in ("", "tls=none"):
        raise ValueError(f"{_EXPECTED}, with nothing behind it but ?tls=none")
    if parts.scheme == "smtps":
        if parts.query:
            raise ValueError("smtps:// is TLS: take smtp:// for ?tls=none")
        security: Security = "tls"
    else:
        security = "none" if parts.query or _is_loopback(host) else "starttls"
    user, password = parts.username, parts.password
    if (user is None) != (password is None) or user == "":
        raise ValueError("the mail server's address has a user without a password, or the reverse")
    user, password = (None if part is None else unquote(part) for part in (user, password))
    if any(part is not None and not part.isascii() for part in (user, password)):
        raise ValueError("the mail server's user or password has a character that is not ASCII")
    if password is not None and security == "none" and not _is_loopback(host):
        raise ValueError("?tls=none would send the password for everybody on the way to read")
    return SmtpServer(
        host=host, port=port or _PORTS[security], security=security, user=user, password=password
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
