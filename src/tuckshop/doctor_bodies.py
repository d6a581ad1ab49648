"""What `tuckshop doctor` finds out about kept prompts and answers: the file, its quota, and what should be gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from tuckshop.domain.body_logging import NO_LOGGING, Logging
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import StoreError
from tuckshop.finding import Finding
from tuckshop.keeping.body_file import NAME, BodyReading, reading, set_aside_at_us
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.services.body_retention import is_still_kept
from tuckshop.settings import Settings
from tuckshop.storage.database import open_for_reading
from tuckshop.storage.rows import part_of_text

SUBJECT: Final = "kept bodies"
FULL_PERCENT: Final = 90
GRACE_US: Final = 600 * US_PER_SECOND  # a server that runs deletes within a minute
_DAY_US: Final = 86_400 * US_PER_SECOND


class _Policy(NamedTuple):
    """What the ledger says of them."""

    logging: Mapping[str, Logging]  # by group
    held: frozenset[str]  # groups and members on which a legal hold stands


def examine_bodies(settings: Settings, ledger: Path, clock: Clock) -> Iterator[Finding]:
    """Whether they can be read, fit their quota, and are gone when their days are over (P2). Silent where are none."""
    path = ledger.with_name(NAME)
    if set_aside_at_us(path) is not None:
        yield Finding(
            "warning",
            SUBJECT,
            f"{NAME} was damaged: it lies aside for a day, and what it held is not shown any more",
            "look after the disk; the server deletes the file by itself",
        )
    try:
        with reading(path) as bodies:
            if bodies is None:
                return
            damage = bodies.first_damage()
            if damage is None:
                yield from _found(bodies, settings, _policy(ledger), clock.now_us())
                return
    except StoreError as error:
        damage = str(error)
    yield Finding(
        "bad",
        SUBJECT,
        f"{path}: {damage}",
        "restart the server: it sets a damaged file aside and begins another; no money is in it",
    )


def _found(
    bodies: BodyReading, settings: Settings, policy: _Policy | None, now_us: int
) -> Iterator[Finding]:
    used, most = bodies.used_bytes(), settings.bodies_max_bytes
    percent = used * 100 // most
    told = f"{used / 1e6:,.1f} MB of {most / 1e6:,.1f} MB"
    is_full = percent >= FULL_PERCENT
    if is_full:
        yield Finding(
            "warning",
            SUBJECT,
            f"{told} are used ({percent} %): when it is full, nothing more is kept",
            "TUCKSHOP_BODIES_MAX_BYTES, or fewer days: `tuckshop group edit GROUP --logging-days`",
        )
    if policy is None:
        return  # the ledger does not open, which is told elsewhere
    oldest = list(bodies.oldest())
    late = [body for body in oldest if _is_late(body, policy, now_us)]
    if late:
        groups = sorted({body.group_id for body in late})
        yield Finding(
            "bad",
            SUBJECT,
            f"the days of some are over, and they are still there (of {', '.join(groups[:3])}"
            f"{' …' if len(groups) > 3 else ''})",
            "start the server: it deletes them within a minute; if it runs, look into its log",
        )
    elif not is_full:
        days = max((now_us - body.at_us for body in oldest), default=0) / _DAY_US
        since = f", the oldest for {days:,.1f} days" if oldest else ""
        yield Finding("ok", SUBJECT, f"{told} are used{since}")


def _is_late(body: KeptBody, policy: _Policy, now_us: int) -> bool:
    if body.group_id in policy.held or body.member_id in policy.held:
        return False
    logging = policy.logging.get(body.group_id, NO_LOGGING)
    return not is_still_kept(body, logging, now_us - GRACE_US)


def _policy(ledger: Path) -> _Policy | None:
    try:
        with closing(open_for_reading(ledger)) as connection:
            groups = connection.execute("SELECT id, logging FROM groups").fetchall()
            held = connection.execute(
                "SELECT coalesce(member_id, group_id) FROM holds WHERE released_at IS NULL"
            ).fetchall()
    except (StoreError, sqlite3.Error, OSError):
        return None
    return _Policy(
        logging={id_: part_of_text(text, Logging) or NO_LOGGING for id_, text in groups},
        held=frozenset(id_ for (id_,) in held),
    )
