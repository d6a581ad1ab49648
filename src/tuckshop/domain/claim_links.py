"""
Claim links: an address that opens once and hands out a key. Appeal links are made like them.

The secret stands behind the `#` of the address: browsers send that part to nobody, so no log of ours, of a proxy or
of a mail gateway ever sees it. 256 random bits, of which only the digest is kept (K1).
"""

from __future__ import annotations

import re
import secrets
from typing import Final

LIFE_DAYS: Final = 14

_SECRET_BYTES: Final = 32
_FORMAT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def new_claim_secret() -> str:
    """A fresh secret, to be put into one link."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def is_claim_secret(text: str) -> bool:
    """Whether *text* looks like such a secret, so that looking it up makes sense."""
    return _FORMAT.fullmatch(text) is not None


def claim_url(public_url: str, secret: str) -> str:
    """The address to be sent to one person."""
    return f"{public_url.rstrip('/')}/claim/#{secret}"


def appeal_url(public_url: str, secret: str) -> str:
    """The address at which one person says something to what was flagged."""
    return f"{public_url.rstrip('/')}/appeal/#{secret}"
