"""What a type cannot say of a setting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tuckshop.domain.errors import SettingsError
from tuckshop.domain.networks import parse_network
from tuckshop.domain.origins import parse_origin
from tuckshop.mailing.address import parse_domain, parse_mailbox
from tuckshop.mailing.smtp_url import parse_smtp_url
from tuckshop.settings.fields import Settings, environment_name
from tuckshop.settings.listeners import is_own_listener
from tuckshop.upstreams.proxy import parse_proxy
from tuckshop.upstreams.tls import client_context

_URL: Final = re.compile(r"[!-~]+")  # visible ASCII


def check(settings: Settings, origins: Mapping[str, str]) -> None:
    """
    Look at each that a type says too little of, and at those that belong together.

    Raises:
        SettingsError: One cannot be used: which, where it came from, and what to do.
    """

    def refuse(name: str, reason: str) -> None:
        raise SettingsError(f"{origins[name].replace('default', environment_name(name))}: {reason}")

    for name in ("port", "admin_port"):
        if (getattr(settings, name) or 0) > 65_535:
            refuse(name, f"{getattr(settings, name)} is not a port: expected 0 to 65535")
    for name, parse in (
        ("trusted_proxies", parse_network),
        ("browser_origins", parse_origin),
        ("upstream_proxy", parse_proxy),
        ("smtp_url", parse_smtp_url),
        ("mail_from", parse_mailbox),
        ("mail_contact", parse_mailbox),
        ("mail_domains", parse_domain),
    ):
        value = getattr(settings, name)
        for item in (value,) if isinstance(value, str) else value or ():
            try:
                if item != "*" or name != "browser_origins":
                    parse(item)
            except ValueError as error:
                refuse(name, str(error))
    for name in ("mail_per_day", "mail_per_minute"):
        if getattr(settings, name) < 1:
            refuse(name, "expected 1 or more; to send no mails, leave TUCKSHOP_SMTP_URL unset")
    if settings.smtp_url is not None and settings.mail_from is None:
        refuse("smtp_url", "whom are mails from? Set TUCKSHOP_MAIL_FROM too")
    if settings.ca_file is not None:
        try:
            client_context(settings.ca_file)
        except OSError as error:  # ssl.SSLError is one
            refuse("ca_file", f"{settings.ca_file} holds no certificates in PEM ({error})")
    try:
        ZoneInfo(settings.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        refuse("timezone", f"{settings.timezone!r} is not an IANA time zone such as Europe/Berlin")
    if settings.database_url is not None and not settings.database_url.startswith("sqlite:///"):
        refuse("database_url", "expected sqlite:///PATH (PostgreSQL is not served yet)")
    if settings.openai_api_key is not None:
        if settings.openai_api_key.startswith("sk-tuck-"):
            refuse(
                "openai_api_key",
                "this is a virtual key of tuckshop; the provider's own credential is needed"
                " (a shell that was set up to call tuckshop? `unset OPENAI_API_KEY OPENAI_BASE_URL`)",
            )
        if not settings.openai_api_key.isascii() or not settings.openai_api_key.isprintable():
            refuse("openai_api_key", "has characters that no credential has (a line break?)")
    token = settings.admin_token
    if token is not None and not all("!" <= c <= "~" for c in token):
        refuse(
            "admin_token",
            "has a character that a header cannot carry: use visible ASCII, no blanks",
        )
    for name, example in (
        ("openai_base_url", "https://api.openai.com/v1"),
        ("url", "https://tuckshop.example.org"),
        ("public_url", "https://tuckshop.example.org"),
    ):
        address = getattr(settings, name)
        if address is None:
            continue
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            refuse(name, f"is not an address such as {example}")
            continue
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or not _URL.fullmatch(address)
        ):
            refuse(name, f"is not an address such as {example}")
        if parts.username or parts.password or parts.query or parts.fragment:
            refuse(
                name,
                "holds a user, a query or a fragment; only scheme, host, port and path are used",
            )
        if name == "openai_base_url" and is_own_listener(
            settings, parts.scheme, parts.hostname or "", port
        ):
            refuse(name, "points at tuckshop's own listener, which would call itself for ever")
