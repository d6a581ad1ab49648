"""
Everything that a server needs, looked at from beside it: each finding says what is and how to mend it.

Reads the data folder without changing it, also while a server runs, and talks to nobody.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tuckshop.doctor_bodies import examine_bodies
from tuckshop.doctor_mail import examine_mail
from tuckshop.doctor_upstreams import examine_upstreams
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import StoreError
from tuckshop.finding import Finding
from tuckshop.keeping.body_file import NAME as BODIES_NAME
from tuckshop.ledger.verify import verify
from tuckshop.pricing.prices import PriceList
from tuckshop.settings import Settings, is_public
from tuckshop.storage.clock_guard import BACKWARD_TOLERANCE_US
from tuckshop.storage.data_folder import refuse_network_file_system
from tuckshop.storage.database import open_for_reading, refuse_gap, setting_of
from tuckshop.storage.person_keys import PERSON_KEYS_NAME
from tuckshop.storage.sqlite import is_safe_version
from tuckshop.storage.writer_thread import SPACE_MIN_BYTES

SPACE_LOW_BYTES: Final = 1 << 30
PRICES_OLD_DAYS: Final = 90


def examine(settings: Settings, ledger: Path, clock: Clock) -> list[Finding]:
    """All findings but those that need the network."""
    return [
        *_settings(settings),
        *examine_upstreams(settings, ledger),
        *examine_mail(settings),
        *_folder(settings.data, ledger),
        *_space(ledger.parent),
        *_sqlite(),
        *_ledger(ledger, clock),
        *examine_bodies(settings, ledger, clock),
        *_prices(clock),
        Finding(
            "note",
            "cap at the provider",
            "tuckshop bounds what it hands out; a key that leaks elsewhere knows no such bound",
            "set a monthly limit for the project of this key at the provider too",
        ),
    ]


def _settings(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "settings", "all are known and can be read")
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
    names = ("admin-token", "secret-key", "run.json", BODIES_NAME, PERSON_KEYS_NAME)
    private = (ledger, *(data / name for name in names))
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
        yield Finding("bad", "ledger", str(error), "docs/how-to/back-up-and-restore.md")
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
