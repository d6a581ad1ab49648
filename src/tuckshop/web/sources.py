"""What a page may run and look like: its own text, named by hash in its content security policy."""

from __future__ import annotations

import base64
import hashlib


def csp_hash(text: str) -> str:
    """The source expression that allows exactly *text* between the tags of a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
