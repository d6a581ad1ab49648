"""
Settings: typed, read once, from the environment and `tuckshop.toml`.

The only module that reads the environment. `load_settings` is pure, so tests hand it a dict. An environment variable
wins over the file. A name that does not exist is an error, so that a typo is told and not ignored.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tuckshop.domain.errors import SettingsError
from tuckshop.domain.networks import parse_network
from tuckshop.domain.origins import parse_origin
from tuckshop.mailing.address import parse_domain, parse_mailbox
from tuckshop.mailing.smtp_url import parse_smtp_url
from tuckshop.upstreams.proxy import parse_proxy
from tuckshop.upstreams.tls import client_context

CONFIG_FILE: Final = "tuckshop.toml"
_URL: Final = re.compile(r"[!-~]+")  # visible ASCII

# Kubernetes injects these for a service that is called tuckshop; they are not settings of ours.
_KUBERNETES: Final = re.compile(r"TUCKSHOP_(SERVICE_|PORT_)")


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


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force and, per dotted name, where each came from."""

    settings: Settings
    origins: Mapping[str, str]


def environment_name(name: str) -> str:
    """The environment variable of the setting *name* (``edge.head_max_bytes`` for one of the edge's)."""
    return ENVIRONMENT_NAMES.get(name, "TUCKSHOP_" + name.replace(".", "_").upper())


def load_settings(environ: Mapping[str, str], folder: Path) -> Loaded:
    """
    The settings that *environ* and *folder*'s ``tuckshop.toml`` state.

    Raises:
        SettingsError: An unknown name or a bad value: which, where it came from, what was expected.
    """
    known = _known()
    values: dict[str, Any] = {}
    origins: dict[str, str] = dict.fromkeys(known, "default")
    for name, raw, origin in (
        *_from_file(folder / CONFIG_FILE),
        *_from_environment(environ, known),
    ):
        if name not in known:
            raise SettingsError(f"{origin}: there is no such setting{_nearest(name, known)}")
        values[name] = _value(raw, known[name], origin)
        origins[name] = origin
    edge = {n.removeprefix("edge."): v for n, v in values.items() if n.startswith("edge.")}
    rest = {n: v for n, v in values.items() if not n.startswith("edge.")}
    settings = Settings(**rest, edge=EdgeSettings(**edge))
    _check(settings, origins)
    return Loaded(settings, origins)


def load_from_process() -> Loaded:
    """The settings of this process: its environment and the working directory's ``tuckshop.toml``."""
    return load_settings(os.environ, Path.cwd())  # noqa: TID251 - the one place that may


def load_for_commands() -> Loaded:
    """
    The settings of a command that calls a server: those of the process, but the environment's `OPENAI_…`.

    There they are often a student's key and tuckshop's own address, set to try it, and of no concern to a command.
    """
    theirs = {*ENVIRONMENT_NAMES.values(), *(f"{name}_FILE" for name in ENVIRONMENT_NAMES.values())}
    environ = os.environ  # noqa: TID251 - the other place that may
    return load_settings({n: v for n, v in environ.items() if n not in theirs}, Path.cwd())


def _known() -> dict[str, Any]:
    hints = get_type_hints(Settings)
    known = {f.name: hints[f.name] for f in fields(Settings) if f.name != "edge"}
    edge_hints = get_type_hints(EdgeSettings)
    known |= {f"edge.{f.name}": edge_hints[f.name] for f in fields(EdgeSettings)}
    return known


def _from_file(path: Path) -> list[tuple[str, object, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path.name} is not TOML: {error}") from error
    found: list[tuple[str, object, str]] = []
    for name, value in table.items():
        if name == "edge" and isinstance(value, dict):
            found += [(f"edge.{n}", v, f"{path.name}, [edge] {n}") for n, v in value.items()]
        else:
            found.append((name, value, f"{path.name}, {name}"))
    return found


def _from_environment(
    environ: Mapping[str, str], known: Mapping[str, Any]
) -> list[tuple[str, object, str]]:
    by_variable = {environment_name(name): name for name in known}
    by_file_variable = {f"{environment_name(name)}_FILE": name for name in SECRETS}
    found: list[tuple[str, object, str]] = []
    for variable, raw in sorted(environ.items()):
        if variable in by_file_variable:
            if (
                by_file_variable[variable]
                and environment_name(by_file_variable[variable]) in environ
            ):
                raise SettingsError(
                    f"{variable}: {environment_name(by_file_variable[variable])} is set too; give one of them"
                )
            found.append((by_file_variable[variable], _secret_from(Path(raw), variable), variable))
        elif variable in by_variable:
            if variable == "TUCKSHOP_PORT" and raw.startswith("tcp://"):
                continue
            if variable in ENVIRONMENT_NAMES.values() and not raw:
                continue  # `OPENAI_API_KEY=` is how people unset it for one command
            found.append((by_variable[variable], raw, variable))
        elif variable.startswith("TUCKSHOP_") and not _KUBERNETES.match(variable):
            raise SettingsError(
                f"{variable}: there is no such setting{_nearest(variable, by_variable)}"
            )
    return found


def _secret_from(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error}") from error


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    import difflib  # only on the way to an error

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _value(raw: object, expected: Any, origin: str) -> Any:
    options = get_args(expected)
    if get_origin(expected) is Literal:
        if raw not in options:
            raise SettingsError(f"{origin}: {raw!r} is not one of {', '.join(options)}")
        return raw
    if get_origin(expected) is tuple:
        return _list(raw, origin)
    kind = options[0] if options else expected  # `str | None` → str
    if kind is Path and isinstance(raw, str) and raw:
        return Path(raw)
    if kind is str and isinstance(raw, str) and raw:
        return raw
    if kind in (int, float) and isinstance(raw, str | int | float) and not isinstance(raw, bool):
        try:
            number: int | float = kind(raw)
        except ValueError:
            number = -1
        if number >= 0 and number < 2**53:
            return number
    wanted = {int: "a whole number", float: "a number of seconds"}.get(
        kind, "a text that is not empty"
    )
    shown = "its value" if any(secret in origin.lower() for secret in SECRETS) else repr(raw)
    raise SettingsError(f"{origin}: {shown} is not {wanted}")


def _list(raw: object, origin: str) -> tuple[str, ...]:
    """Several texts: a list in the file; in a variable, with commas or spaces in between."""
    items = raw.replace(",", " ").split() if isinstance(raw, str) else raw
    if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
        raise SettingsError(f"{origin}: {raw!r} is not a list of texts")
    return tuple(items)


def _check(settings: Settings, origins: Mapping[str, str]) -> None:
    """What a type cannot say. Each refusal tells what to do."""

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


def is_own_listener(settings: Settings, scheme: str, host: str, port: int | None) -> bool:
    """Do *host* and *port* name the server with these settings, as far as the text tells?"""
    port = port or {"http": 80, "https": 443}[scheme]
    for own_host, own_port in ((settings.host, settings.port), settings.admin_address):
        if port != own_port:
            continue
        loopback = host == "localhost" or _is_loopback(host)
        everywhere = own_host in ("localhost", "0.0.0.0", "::") or _is_loopback(own_host)  # noqa: S104
        if host == own_host or (loopback and everywhere):
            return True
    if settings.public_url is None:
        return False
    own = urlsplit(settings.public_url)
    return host == own.hostname and port == (own.port or {"http": 80, "https": 443}[own.scheme])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(host: str) -> bool:
    """Does listening on *host* reach beyond this machine?"""
    return not (host == "localhost" or _is_loopback(host))


def documented() -> list[tuple[str, str, str, str]]:
    """
    Every setting as (environment variable, place in the file, default, what it means), for the reference page.

    The meaning is the string below the field in this file's source.
    """
    meanings = _meanings()
    rows = []
    for owner, prefix in ((Settings, ""), (EdgeSettings, "edge.")):
        for f in fields(owner):
            if f.name == "edge":
                continue
            place = f"[edge] {f.name}" if prefix else f.name
            default = "" if f.default in (None, (), dataclasses.MISSING) else str(f.default)
            rows.append(
                (environment_name(prefix + f.name), place, default, meanings[prefix + f.name])
            )
    return rows


def _meanings() -> dict[str, str]:
    import ast  # only for the reference page and `tuckshop config`
    import inspect

    found = {}
    for owner, prefix in ((Settings, ""), (EdgeSettings, "edge.")):
        body = ast.parse(inspect.getsource(owner)).body[0]
        assert isinstance(body, ast.ClassDef)
        name = None
        for node in body.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
                found[prefix + name] = " ".join(str(node.value.value).split())
                name = None
    return found
