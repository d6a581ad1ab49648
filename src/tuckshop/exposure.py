"""
What a server that others can reach must not do, and what its operator is told (K14).

Reachable is one that listens beyond this machine, or that people reach through a proxy in front of it: then it has a
public URL.
"""

from __future__ import annotations

import math
import re
from typing import Final
from urllib.parse import urlsplit

from tuckshop.domain.errors import SettingsError
from tuckshop.settings import Settings, is_public

SECRET_MIN_CHARS: Final = 24
SECRET_MIN_BITS: Final = (
    64  # by its length and how many different characters it has: a coarse sieve
)
_PLACEHOLDER: Final = re.compile(
    r"change.?(me|this)|replace.?(me|this)|pass.?word|letmein|qwerty|example|your.?(token|secret)|0123456789abcdef$",
    re.I,
)


def is_reachable(settings: Settings) -> bool:
    """Can anybody beyond this machine reach the server?"""
    return (
        is_public(settings.host)
        or is_public(settings.admin_host or settings.host)
        or (settings.public_url is not None and is_public(_host(settings.public_url)))
    )


def refuse_if_unfit(settings: Settings, admin_token: str) -> None:
    """
    Raises:
        SettingsError: The server can be reached, and its operator's token could be guessed or it logs for debugging.
    """
    if not is_reachable(settings):
        return
    weakness = weakness_of(admin_token)
    if weakness is not None:
        raise SettingsError(
            f"TUCKSHOP_ADMIN_TOKEN {weakness}, and others can reach this server: take one from"
            " `openssl rand -base64 32`, or unset it and remove admin-token from the data folder to have one made"
        )
    if settings.log_level == "debug":
        raise SettingsError(
            "TUCKSHOP_LOG_LEVEL: debug is for a server that only this machine can reach; take info"
        )


def weakness_of(secret: str) -> str | None:
    """Why *secret* could be guessed, as the end of a sentence; None: it is none that anybody would try."""
    if len(secret) < SECRET_MIN_CHARS:
        return f"has fewer than {SECRET_MIN_CHARS} characters"
    if _PLACEHOLDER.search(secret):
        return "looks like a placeholder"
    different = len(set(secret))
    repeats = next(
        n for n in range(1, len(secret) + 1) if secret == (secret[:n] * len(secret))[: len(secret)]
    )
    if (
        min(len(secret), repeats) * math.log2(different) < SECRET_MIN_BITS
        or repeats < SECRET_MIN_CHARS // 2
    ):
        return "repeats itself"
    return None


def warnings_for(settings: Settings) -> list[str]:
    """What the operator should know about how the server can be reached."""
    told = []
    listens = [
        host
        for host in dict.fromkeys((settings.host, settings.admin_host))
        if host and is_public(host)
    ]
    url = settings.public_url
    if url is None:
        if listens:
            told.append(
                f"listening beyond this machine ({', '.join(listens)}) without TLS: put a proxy that terminates it in"
                " front, and say by TUCKSHOP_PUBLIC_URL how people reach it"
            )
    elif url.startswith("http://") and is_public(_host(url)):
        told.append(
            f"TUCKSHOP_PUBLIC_URL is {url}: keys and answers go through the network for everybody on the way to read;"
            " put a proxy that terminates TLS in front"
        )
    return told


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
