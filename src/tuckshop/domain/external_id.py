"""External ids: one person, one spelling, whatever the roster or the mail program made of it."""

from __future__ import annotations

import unicodedata


def folded(external_id: str) -> str:
    """
    *external_id* as it is compared: NFC, without white space around it; addresses (``@``) regardless of case.

    Folding twice changes nothing.
    """
    text = unicodedata.normalize("NFC", external_id).strip()
    if "@" not in text:
        return text
    # Case folding may take a composed letter apart, so compose again.
    return unicodedata.normalize("NFC", text.casefold())
