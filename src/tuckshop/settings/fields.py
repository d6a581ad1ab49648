"""What can be set: every setting with its type, its default and, below it, what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """The numbers of the HTTP edge: what a client and an upstream may take in time and space."""

    head_timeout_s: float = 10.0
    """A request's head must be complete after this long."""
    body_timeout_s: float = 30.0
    """A request's body must be complete after this long, or its size ÷ `body_min_bytes_per_s`."""
    body_min_bytes_per_s: int = 65_536
    """The slowest rate at which a large body may come."""
    keepalive_timeout_s: float = 30.0
    """An idle connection is closed after this long."""
    head_max_bytes: int = 32_768
    """The longest head, request line included."""
    head_max_fields: int = 100
    """The most header fields."""
    body_max_bytes: int = 4_194_304
    """The largest body, where the endpoint has no number of its own."""
    chat_body_max_bytes: int = 20_971_520
    """The largest body of a chat or Responses call."""
    chat_event_max_bytes: int = 1_048_576
    """The longest event of a chat or completion stream that is read for its usage."""
    responses_event_max_bytes: int = 33_554_432
    """The same of a Responses stream, whose last event repeats the whole answer."""
    reply_whole_max_bytes: int = 1_048_576
    """The longest reply, or last event of a stream, that is parsed; what is longer is passed on as it comes."""
    reply_tail_bytes: int = 65_536
    """How much of the end of such a one is kept, to find its usage in."""
    json_max_depth: int = 64
    """The deepest nesting of a JSON body."""
    json_max_values: int = 1_000_000
    """The most values in a JSON body, lists and objects included."""
    model_max_chars: int = 128
    """The longest name of a model."""
    connections_max: int = 10_000
    """Open connections; further ones are closed at once."""
    in_flight_max: int = 10_000
    """Calls being served; further ones get 503."""
    waiting_max: int = 10_000
    """Calls that wait for held amounts; further ones get 503."""
    buffered_bodies_max_bytes: int = 268_435_456
    """All request bodies in memory together; beyond it 503. One member's large ones may be half of it."""
    stall_timeout_s: float = 60.0
    """A client that reads nothing for this long is cut off."""
    upstream_connect_timeout_s: float = 5.0
    """A connection to the upstream must stand after this long."""
    upstream_first_byte_timeout_s: float = 600.0
    """The upstream must begin to answer after this long."""
    upstream_gap_timeout_s: float = 60.0
    """The longest gap between two pieces of a reply."""
    upstream_reasoning_gap_timeout_s: float = 600.0
    """The same for models that reason."""
    upstream_idle_timeout_s: float = 4.0
    """An idle connection to the upstream is dropped after this long, before the upstream does it."""
    request_timeout_s: float = 900.0
    """The whole of a call, from dispatch to the last byte."""
    drained_max: int = 200
    """Calls read to their end after their client left, all together."""
    drained_per_member_max: int = 20
    """The same, of one member."""
    drained_timeout_s: float = 300.0
    """How long such a call is read on."""
    moderation_per_minute: int = 500
    """Questions to the moderation of an upstream in any minute, for groups whose calls are checked."""
    moderation_timeout_s: float = 10.0
    """How long a call that is checked before it is sent waits for all of its verdict."""
    flood_per_second: int = 200
    """Calls a second of one key, before anything else is looked at."""
    flood_burst: int = 2_000
    """How many of them may come at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. The name of a setting is `TUCKSHOP_` and the field's, in capitals."""

    host: str = "127.0.0.1"
    """Where to listen."""
    port: int = 8000
    """Where to listen; 0 takes a free one."""
    public_url: str | None = None
    """How people reach the server, such as `https://tuckshop.example.org`; all links are built from it alone."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) or addresses of front proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    browser_origins: tuple[str, ...] = ()
    """Origins whose pages may call the data plane from a browser, such as `https://chat.example.org`; `*`: all."""
    admin_host: str | None = None
    """Where the admin API listens, away from the data plane; default: as `TUCKSHOP_HOST`."""
    admin_port: int | None = None
    """Where the admin API listens, away from the data plane; default: as `TUCKSHOP_PORT`."""
    data: Path = Path("tuckshop-data")
    """The data folder (database, secret key, run file), made with mode 0700."""
    database_url: str | None = None
    """`sqlite:///PATH`; default: SQLite in the data folder."""
    admin_token: str | None = field(default=None, repr=False)
    """Bearer token of the operator; made on first start and kept in the data folder as `admin-token`."""
    timezone: str = "UTC"
    """Zone of workspace windows, default of groups; an IANA name."""
    openai_api_key: str | None = field(default=None, repr=False)
    """Credential of the upstream `openai`."""
    openai_base_url: str = "https://api.openai.com/v1"
    """Address of the upstream `openai`."""
    openai_profile: Literal["openai", "compatible"] = "openai"
    """Which fields that upstream knows: `openai`, or `compatible` (vLLM, Ollama, other providers)."""
    durability: Literal["full", "process"] = "full"
    """`full`: a reservation survives power loss; `process`: it survives a crash of the process."""
    upstream_proxy: str | None = field(default=None, repr=False)
    """The HTTP proxy on the way to the upstream, `http://USER:PASSWORD@HOST:PORT`; every call goes by CONNECT."""
    ca_file: Path | None = None
    """A PEM file of certificate authorities to trust beside the system's: by the server and by the commands."""
    smtp_url: str | None = field(default=None, repr=False)
    """The mail server: `smtp://USER:PASSWORD@HOST:587` (STARTTLS) or `smtps://…:465`; default: no mails."""
    mail_from: str | None = None
    """Whom mails are from: `Tuckshop <tuckshop@example.org>`."""
    mail_contact: str | None = None
    """Where answers go, and whom mails name for questions; default: as `TUCKSHOP_MAIL_FROM`."""
    mail_language: Literal["en", "de"] = "en"
    """The language of mails that nobody brought a text for."""
    mail_per_day: int = 2_000
    """The most mails in any 24 hours; further ones wait."""
    mail_per_minute: int = 30
    """How fast mails are sent."""
    mail_domains: tuple[str, ...] = ()
    """Domains that may be written to, such as `example.org` or `*.example.org`; default: all."""
    bodies_max_bytes: int = 2_147_483_648
    """The most that kept prompts and answers may take on the disk; beyond it none are kept until some are deleted."""
    bodies_each_max_bytes: int = 4_194_304
    """The most that is kept of one request, and of one reply; what is longer is cut off."""
    drain_seconds: float = 30.0
    """How long running requests may end at shutdown."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`json` or `console`; `auto`: console on a terminal, else json."""
    url: str | None = None
    """Where the commands find a server on another machine; `serve` does not read it."""
    edge: EdgeSettings = EdgeSettings()
    """The numbers of the HTTP edge, in the table `[edge]` or as `TUCKSHOP_EDGE_…`."""

    @property
    def has_admin_listener(self) -> bool:
        """Does the admin API listen at an address of its own?"""
        host, port = self.admin_address
        return host != self.host or port != self.port or self.admin_port == 0

    @property
    def admin_address(self) -> tuple[str, int]:
        """Host and port of the admin API."""
        return (
            self.host if self.admin_host is None else self.admin_host,
            self.port if self.admin_port is None else self.admin_port,
        )


# Fields whose environment variable has a name that users already have.
ENVIRONMENT_NAMES: Final[Mapping[str, str]] = {
    "openai_api_key": "OPENAI_API_KEY",
    "openai_base_url": "OPENAI_BASE_URL",
}
SECRETS: Final = frozenset({"admin_token", "openai_api_key", "upstream_proxy", "smtp_url"})


def environment_name(name: str) -> str:
    """The environment variable of the setting *name* (``edge.head_max_bytes`` for one of the edge's)."""
    return ENVIRONMENT_NAMES.get(name, "TUCKSHOP_" + name.replace(".", "_").upper())
