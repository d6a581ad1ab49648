"""
Everything that a server needs, looked at from beside it: each finding says what is and how to mend it.

Reads the data folder without changing it, also while a server runs. Only `ask_upstream` talks to anybody.
"""

from __future__ import annotations

import http.client
import os
import sqlite3
import ssl
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import StoreError
from tuckshop.ledger.verify import verify
from tuckshop.pricing.prices import PriceList
from tuckshop.settings import Settings, is_public
from tuckshop.storage.clock_guard import BACKWARD_TOLERANCE_US
from tuckshop.storage.data_folder import refuse_network_file_system
from tuckshop.storage.database import open_for_reading, refuse_gap, setting_of
from tuckshop.storage.sqlite import is_safe_version
from tuckshop.storage.writer_thread import SPACE_MIN_BYTES
from tuckshop.upstreams.base_url import parse_base_url

SPACE_LOW_BYTES: Final = 1 << 30
PRICES_OLD_DAYS: Final = 90
ASK_TIMEOUT_S: Final = 10.0

Level = Literal["ok", "note", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    what: str
    mend: str | None = None


def examine(settings: Settings, ledger: Path, clock: Clock) -> list[Finding]:
    """All findings but those that need the network."""
    return [
        *_settings(settings),
        *_folder(settings.data, ledger),
        *_space(ledger.parent),
        *_sqlite(),
        *_ledger(ledger, clock),
        *_prices(clock),
        Finding(
            "note",
            "cap at the provider",
            "tuckshop bounds what it hands out; a key that leaks elsewhere knows no such bound",
            "set a monthly limit for the project of this key at the provider too",
        ),
    ]


def ask_upstream(settings: Settings) -> Finding:
    """Whether the upstream lists its models to our credential; costs nothing."""
    subject = "upstream"
    if settings.openai_api_key is None:
        return Finding("bad", subject, "no credential is set", "set OPENAI_API_KEY_FILE")
    try:
        base = parse_base_url(settings.openai_base_url)
    except ValueError as error:
        return Finding("bad", subject, f"OPENAI_BASE_URL {error}", "set it right")
    if base.is_tls:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            base.host, base.port, timeout=ASK_TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(base.host, base.port, timeout=ASK_TIMEOUT_S)
    try:
        connection.request(
            "GET",
            f"{base.prefix}/models",
            headers={"authorization": f"Bearer {settings.openai_api_key}"},
        )
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Finding(
            "bad",
            subject,
            f"{base.authority} cannot be reached: {type(error).__name__}",
            "look at OPENAI_BASE_URL, the network, and whether this machine trusts its certificate",
        )
    finally:
        connection.close()
    if status == 200:
        return Finding("ok", subject, f"{base.authority} answers and knows the credential")
    if status in (401, 403):
        return Finding(
            "bad", subject, f"{base.authority} refuses the credential ({status})", "set a valid one"
        )
    return Finding(
        "bad",
        subject,
        f"{base.authority} answers {status} to GET {base.prefix}/models",
        "does OPENAI_BASE_URL end as the provider says, often in /v1?",
    )


def _settings(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "settings", "all are known and can be read")
    if settings.openai_api_key is None:
        yield Finding(
            "warning",
            "credential",
            "none is set here, so a server with these settings serves no calls",
            "set OPENAI_API_KEY_FILE (or run this command with the server's environment)",
        )
    if is_public(settings.host):
        yield Finding(
            "warning",
            "address",
            f"{settings.host} is reached from beyond this machine, and tuckshop speaks no TLS itself",
            "let it listen on 127.0.0.1, behind a proxy that does",
        )
    if settings.durability != "full":
        yield Finding(
            "warning",
            "durability",
            "a power cut may lose reservations whose calls were billed",
            "TUCKSHOP_DURABILITY=full, unless you mean it",
        )


def _folder(data: Path, ledger: Path) -> Iterator[Finding]:
    subject = "data folder"
    try:
        found = data.stat()
    except OSError as error:
        yield Finding(
            "bad",
            subject,
            f"{data} cannot be read: {error.strerror}",
            "set TUCKSHOP_DATA; the first start makes the folder",
        )
        return
    wrong = False
    try:
        refuse_network_file_system(ledger.parent)
    except StoreError as error:
        wrong = True
        yield Finding("bad", subject, str(error), "move it to a local disk")
    if found.st_uid != os.geteuid() and os.geteuid() != 0:
        wrong = True
        yield Finding("bad", subject, f"{data} belongs to another user", "run as its owner")
    private = (ledger, *(data / name for name in ("admin-token", "secret-key", "run.json")))
    for path, wanted in ((data, 0o700), *((path, 0o600) for path in private)):
        try:
            entry = path.stat()
        except OSError:
            continue
        if stat.S_IMODE(entry.st_mode) & ~wanted:
            wrong = True
            mode = f"{stat.S_IMODE(entry.st_mode):o}"
            yield Finding("bad", subject, f"{path} has mode {mode}", f"chmod {wanted:o} {path}")
        if entry.st_uid != found.st_uid:
            wrong = True
            yield Finding(
                "bad",
                subject,
                f"{path} belongs to another user than {data}",
                f"chown --reference={data} {path}",
            )
    if not wrong:
        yield Finding("ok", subject, f"{data} is for its owner only")


def _space(folder: Path) -> Iterator[Finding]:
    try:
        found = os.statvfs(folder)
    except OSError:
        return
    free = found.f_bavail * found.f_frsize
    told = f"{free / 1e9:,.1f} GB left"
    if free < SPACE_MIN_BYTES:
        yield Finding(
            "bad",
            "disk",
            f"{told}: nothing is admitted below {SPACE_MIN_BYTES >> 20} MiB",
            "make room",
        )
    elif free < SPACE_LOW_BYTES:
        yield Finding("warning", "disk", told, "make room before it is full")
    else:
        yield Finding("ok", "disk", told)


def _sqlite() -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    if is_safe_version():
        yield Finding("ok", "SQLite", version)
    else:
        yield Finding(
            "note",
            "SQLite",
            f"{version}: before 3.51.3 several writers could damage a log; tuckshop has one",
            "let no other program write the ledger",
        )


def _ledger(ledger: Path, clock: Clock) -> Iterator[Finding]:
    if not ledger.exists() and not ledger.with_name("tuckshop.json").exists():
        yield Finding("note", "ledger", "there is none yet; the first start makes it")
        return
    try:
        with closing(open_for_reading(ledger)) as connection:
            try:
                refuse_gap(ledger, connection)
            except StoreError as error:
                yield Finding("bad", "ledger", str(error), "tuckshop restore --acknowledge-gap")
            mark_us = int(setting_of(connection, "clock_high_water") or 0)
            differences = verify(connection).differences
    except (StoreError, sqlite3.Error, OSError) as error:
        yield Finding("bad", "ledger", str(error), "docs/how-to/upgrade.md, Restore")
        return
    if differences:
        yield Finding(
            "bad",
            "ledger",
            f"contradicts itself in {len(differences)} places, first: {differences[0]}",
            "keep a backup, and report it with the output of `tuckshop verify`",
        )
    else:
        yield Finding("ok", "ledger", "every counter since the last closing is the sum of its rows")
    behind_us = mark_us - clock.now_us()
    if behind_us > BACKWARD_TOLERANCE_US:
        yield Finding(
            "bad",
            "clock",
            f"it is {behind_us // US_PER_SECOND} s behind a time that the server has seen",
            "set it right; if it is right, `tuckshop clock accept`",
        )
    else:
        yield Finding("ok", "clock", "not behind any time that the server has seen")


def _prices(clock: Clock) -> Iterator[Finding]:
    newest = max(row.dated for row in PriceList.load().rows())
    today = datetime.fromtimestamp(clock.now_us() / US_PER_SECOND, UTC).date()
    days = (today - newest).days
    if days > PRICES_OLD_DAYS:
        yield Finding(
            "warning",
            "prices",
            f"the price list is {days} days old ({newest})",
            "install a newer version; compare the models that you allow with the provider's page",
        )
    else:
        yield Finding("ok", "prices", f"the price list is of {newest}")
