"""Keys, and the tokens of staff: their format, their checksum, and what is kept of them (K1)."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final, Literal

PREFIX: Final = "sk-tuck-"
STAFF_PREFIX: Final = "tuck-staff-"
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH: Final = 34  # about 202 bits, so a fast hash is enough to keep the secret
# Two digits of base 62 at a time; six of them hold a CRC-32.
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_CHARACTERS: Final = "([0-9A-Za-z]{34})([0-9A-Za-z]{6})"
_FORMAT: Final = re.compile(PREFIX + _CHARACTERS)
_STAFF_FORMAT: Final = re.compile(STAFF_PREFIX + _CHARACTERS)
# What looks like a credential of any gateway or provider: `sk-`, and then no sign that ends a word in code or prose.
_LOOKS_LIKE: Final = re.compile(r"(?<![0-9A-Za-z_-])sk-[0-9A-Za-z_-]{4,512}")

# ours: format and checksum are right; mistyped: it claims to be one of ours and cannot be; foreign: of another format
Spelling = Literal["ours", "mistyped", "foreign"]


def new_secret() -> str:
    """A fresh key, to be shown once."""
    return _new(PREFIX)


def new_staff_secret() -> str:
    """A fresh token for staff, to be shown once."""
    return _new(STAFF_PREFIX)


def is_well_formed(secret: str) -> bool:
    """Whether *secret* has the format and its checksum is right, so that looking it up makes sense."""
    return _is_whole(_FORMAT.fullmatch(secret))


def is_well_formed_for_staff(secret: str) -> bool:
    """The same of a token."""
    return _is_whole(_STAFF_FORMAT.fullmatch(secret))


def spelling_of(secret: str) -> Spelling:
    """What can be told of *secret* without a look-up."""
    if is_well_formed(secret):
        return "ours"
    return "mistyped" if secret.startswith(PREFIX) else "foreign"


def secrets_in(text: str, most: int) -> list[str]:
    """What stands in *text* that looks like a key, each once, at most *most*; a single word is taken as it is."""
    words = text.split(None, 1)
    if len(words) == 1 and not _LOOKS_LIKE.search(words[0]):
        return words
    found: dict[str, None] = {}
    for match in _LOOKS_LIKE.finditer(text):
        found[match[0]] = None
        if len(found) == most:
            break
    return list(found)


def masked(secret: str) -> str:
    """*secret* as an answer may tell which one is meant: its beginning and its last four characters."""
    if len(secret) < 16:
        return "…"
    start = PREFIX if secret.startswith(PREFIX) else secret[:5]
    return f"{start}…{secret[-4:]}"


def digest_of(secret: str) -> bytes:
    """What is kept and looked up in place of *secret*: its SHA-256, 32 bytes."""
    # A credential that a client sends may hold anything its header could carry.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def display(last4: str) -> str:
    """A key as listings and logs may show it."""
    return f"{PREFIX}…{last4}"


def _new(prefix: str) -> str:
    random = _random()
    return f"{prefix}{random}{_checksum(random)}"


def _is_whole(found: re.Match[str] | None) -> bool:
    return found is not None and _checksum(found[1]) == found[2]


def _checksum(random: str) -> str:
    """The CRC-32 of *random* in base 62, zero-padded."""
    rest, low = divmod(zlib.crc32(random.encode("ascii")), 62 * 62)
    high, middle = divmod(rest, 62 * 62)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def _random() -> str:
    # One number for all characters: a number for each takes ten times as long, and an import makes thousands of keys.
    number = secrets.randbelow(62**_RANDOM_LENGTH)
    pairs = []
    for _ in range(_RANDOM_LENGTH // 2):
        number, low = divmod(number, 62 * 62)
        pairs.append(_PAIRS[low])
    return "".join(pairs)
