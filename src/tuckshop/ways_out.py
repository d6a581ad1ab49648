"""
The ways out, to upstreams and the mail server: which addresses, by which proxy, trusting whom, with whose credential.

What the settings say of them meets here what the ledger says.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from tuckshop.domain.errors import SettingsError
from tuckshop.domain.records import Reach, UpstreamRecord
from tuckshop.gateway.ports import DEFAULT_UPSTREAM
from tuckshop.mailing.address import parse_domain, parse_mailbox
from tuckshop.mailing.policy import MailPolicy, MailWay
from tuckshop.mailing.sender import Counted
from tuckshop.mailing.smtp import Smtp
from tuckshop.mailing.smtp_url import parse_smtp_url
from tuckshop.services.opening import UpstreamSetting
from tuckshop.services.papers.facts import Surroundings
from tuckshop.settings import Settings, is_own_listener
from tuckshop.storage.sealing import Sealer, SealError, credential_place
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.base_url import BaseUrl, parse_base_url
from tuckshop.upstreams.limits import UpstreamLimits
from tuckshop.upstreams.pool import UpstreamPool
from tuckshop.upstreams.proxy import parse_proxy
from tuckshop.upstreams.tls import client_context


class OwnAddresses:
    """Where this server listens, so that no upstream leads back to it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings  # with the ports that were taken, once they are known
        self._ports: frozenset[int] = frozenset()

    def learn(self, port: int, admin_port: int | None) -> None:
        """These are the ports."""
        self._settings = replace(self._settings, port=port, admin_port=admin_port or port)
        self._ports = frozenset({port, admin_port or port})

    def ports(self) -> Collection[int]:
        """Those that it listens on."""
        return self._ports

    def is_named_by(self, base_url: BaseUrl) -> bool:
        """Does an address name this server, as far as the text tells?"""
        return is_own_listener(self._settings, base_url.scheme, base_url.host, base_url.port)


class Connector:
    """Makes the pools of upstreams."""

    def __init__(self, settings: Settings, own: OwnAddresses) -> None:
        edge = settings.edge
        self._limits = UpstreamLimits(
            connect_timeout_s=edge.upstream_connect_timeout_s,
            first_byte_timeout_s=edge.upstream_first_byte_timeout_s,
            gap_timeout_s=edge.upstream_gap_timeout_s,
            request_timeout_s=edge.request_timeout_s,
            idle_timeout_s=edge.upstream_idle_timeout_s,
        )
        self._ca_file = settings.ca_file
        self._proxy = parse_proxy(settings.upstream_proxy) if settings.upstream_proxy else None
        self._own = own
        self._tls: ssl.SSLContext | None = None  # one for all, made when it is first needed

    def connect(self, base_url: BaseUrl, reach: Reach) -> UpstreamPool:
        """A pool of connections to *base_url*."""
        if base_url.is_tls and self._tls is None:
            self._tls = client_context(self._ca_file)
        guard = AddressGuard(reach, self._own.ports)
        return UpstreamPool(base_url, self._tls, self._limits, self._proxy, guard)

    def connect_once(self, base_url: BaseUrl, reach: Reach) -> UpstreamPool:
        """The same for one request to a webhook."""
        pool = self.connect(base_url, reach)
        pool.what = "webhook"
        return pool


def upstream_setting(settings: Settings) -> UpstreamSetting | None:
    """
    The upstream that the settings name.

    Raises:
        SettingsError: The address cannot be used.
    """
    if settings.openai_api_key is None:
        return None
    try:
        parse_base_url(settings.openai_base_url)
    except ValueError as error:
        raise SettingsError(f"OPENAI_BASE_URL: {error}") from error
    return UpstreamSetting(
        name=DEFAULT_UPSTREAM,
        base_url=settings.openai_base_url,
        profile=settings.openai_profile,
        credential=settings.openai_api_key,
    )


def mail_way(
    settings: Settings, count: Callable[[Counted], None] = lambda state: None
) -> MailWay | None:
    """How mails are sent; None: the settings name no mail server."""
    if settings.smtp_url is None or settings.mail_from is None:
        return None
    sender = parse_mailbox(settings.mail_from)
    contact = (
        None if settings.mail_contact is None else parse_mailbox(settings.mail_contact).address
    )
    return MailWay(
        policy=MailPolicy(
            sender=sender,
            contact=contact,
            language=settings.mail_language,
            per_day=settings.mail_per_day,
            per_minute=settings.mail_per_minute,
            domains=tuple(map(parse_domain, settings.mail_domains)),
            public_url=settings.public_url,
        ),
        smtp=Smtp(
            parse_smtp_url(settings.smtp_url),
            hello=sender.domain,
            tls=partial(client_context, settings.ca_file, protocols=()),
        ),
        count=count,
    )


def surroundings_of(settings: Settings) -> Surroundings:
    """What the settings say of the server's surroundings, for papers of data protection."""
    smtp = None
    if settings.smtp_url is not None and settings.mail_from is not None:
        smtp = parse_smtp_url(settings.smtp_url)
    return Surroundings(
        public_url=settings.public_url,
        mail_host=None if smtp is None else smtp.host,
        mail_is_encrypted=smtp is None or smtp.security != "none",
        mail_contact=settings.mail_contact or settings.mail_from,
        proxies=settings.trusted_proxies,
        has_way_out=settings.upstream_proxy is not None,
    )


def credential_of(record: UpstreamRecord, settings: Settings, sealer: Sealer) -> str:
    """
    The credential of an upstream, in clear.

    Raises:
        SealError: It cannot be had.
    """
    if record.credential_source == "setting":
        if settings.openai_api_key is None:
            raise SealError("the settings name none")
        return settings.openai_api_key
    if record.sealed is None:
        raise SealError("it is not in the ledger")
    return sealer.open(record.sealed, place=credential_place(record.workspace_id, record.id))
