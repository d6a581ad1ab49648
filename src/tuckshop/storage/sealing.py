"""
Secrets at rest: sealed with AES-256-GCM under a key that is kept outside the database (K2).

What is sealed is bound to the place where it stands (its table, row and column are authenticated with it), so a value
that is moved to another row does not open there. A sealed value is a version byte, a nonce of 12 bytes, the text.
"""

from __future__ import annotations

import secrets
from typing import Final

from tuckshop.domain.errors import StoreError

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class SealError(StoreError):
    """A sealed value does not open: another key, another place, or damaged."""


class Sealer:
    """Seals and opens with one key. The library is loaded when it is first needed: most servers seal nothing."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES
        self._key = key

    def seal(self, secret: str | bytes, *, place: str) -> bytes:
        """*secret*, closed; *place* names table, row and column."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        plain = secret.encode() if isinstance(secret, str) else secret
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + AESGCM(self._key).encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, *, place: str) -> str:
        """
        The text that `seal` closed at the same *place*.

        Raises:
            SealError: It does not open.
        """
        return self.open_bytes(sealed, place=place).decode()

    def open_bytes(self, sealed: bytes, *, place: str) -> bytes:
        """
        The same, where it was no text.

        Raises:
            SealError: It does not open.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        start = len(_VERSION)
        nonce, text = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        if not sealed.startswith(_VERSION) or len(nonce) != _NONCE_BYTES:
            raise SealError("it is not a sealed value")
        try:
            return AESGCM(self._key).decrypt(nonce, text, place.encode())
        except InvalidTag:
            raise SealError("it was sealed with another secret-key, or for another row") from None


def credential_place(workspace_id: str, upstream_id: str) -> str:
    """Where an upstream's credential stands."""
    return f"upstreams/{workspace_id}/{upstream_id}/credential"


def webhook_place(workspace_id: str, webhook_id: str) -> str:
    """Where a webhook's secret stands."""
    return f"webhooks/{workspace_id}/{webhook_id}/secret"
