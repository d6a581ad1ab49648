"""Mail addresses: taken only as they can stand in a header without doubt, and which domains may be written to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Final

ADDRESS_MAX_CHARACTERS: Final = 254  # RFC 5321, errata 1690

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# Controls and the invisible characters that turn the direction of what follows: no name in a mail has them.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Somebody's address, with the name that stands before it."""

    address: str  # user@example.org; the domain in ASCII
    name: str = ""

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.address.rpartition("@")[2]

    @property
    def header(self) -> Address:
        """As a header holds it; what it needs to be quoted or encoded is done there."""
        return Address(display_name=one_line(self.name), addr_spec=self.address)

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.name} <{self.address}>" if self.name else self.address


def parse_address(text: str) -> str:
    """
    One address, its domain in ASCII and lower case.

    Raises:
        ValueError: It is none that can be written to; says why.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at:
        raise ValueError("is not an address such as ada@example.org")
    if not local.isascii():
        raise ValueError("has a letter before the @ that mail servers do not agree on")
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_domain = ""
    if not _LOCAL.fullmatch(local) or len(local) > 64 or not _DOMAIN.fullmatch(ascii_domain):
        raise ValueError("is not an address such as ada@example.org")
    address = f"{local}@{ascii_domain}"
    if len(address) > ADDRESS_MAX_CHARACTERS:
        raise ValueError(f"is longer than {ADDRESS_MAX_CHARACTERS} characters")
    return address


def parse_mailbox(text: str) -> Mailbox:
    """
    An address, alone or as ``Name <ada@example.org>``.

    Raises:
        ValueError: It is none.
    """
    name, address = parseaddr(text)
    if not address or "," in text.replace(name, ""):
        raise ValueError("expected one address, such as Tuckshop <tuckshop@example.org>")
    try:
        return Mailbox(parse_address(address), one_line(name))
    except ValueError as error:
        raise ValueError(f"{address} {error}") from None


def parse_domain(text: str) -> str:
    """
    A domain that may be written to: ``example.org``, or all below it: ``*.example.org``.

    Raises:
        ValueError: It is none.
    """
    star, rest = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        domain = rest.encode("idna").decode("ascii").lower()
    except UnicodeError:
        domain = ""
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"{text!r} is not a domain such as example.org or *.example.org")
    return star + domain


def may_be_written_to(domain: str, allowed: Sequence[str]) -> bool:
    """Is *domain* one of *allowed* (as `parse_domain` gives them)? Where none is named, any is."""
    return not allowed or any(
        domain.endswith(one[1:]) if one.startswith("*.") else domain == one for one in allowed
    )


def one_line(text: str) -> str:
    """*text* without line breaks, other controls and characters that turn the direction of reading."""
    kept = (" " if c in "\r\n\t" else c for c in text)
    return "".join(c for c in kept if unicodedata.category(c) not in _UNSEEN).strip()
