"""
Restoring a backup: its files are checked before anything is changed, and nothing that is there is written over (P10).

Bodies and keys of persons are added to what the folder has; a key that was destroyed there stays so. The ledger gets
its name last, so after a crash the same command goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuckshop.backups.credentials import read_credentials
from tuckshop.backups.parts import PERSON_KEYS_MAX_DAYS, Parts
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import StoreError
from tuckshop.folder_files import derived, kept_secret, put_secret
from tuckshop.keeping.body_copies import check_copy, take_in_bodies
from tuckshop.keeping.body_file import NAME as BODIES_NAME
from tuckshop.keeping.body_file import reading
from tuckshop.ledger import restore as ledger_restore
from tuckshop.ledger.backup import Backup, SealedValue, examine, put_sealed_back
from tuckshop.ledger.restore import Restored
from tuckshop.storage.data_folder import make_folder
from tuckshop.storage.erasures import ErasureList
from tuckshop.storage.person_key_copies import check_key_copy, take_in_person_keys
from tuckshop.storage.person_keys import (
    PERSON_KEYS,
    PERSON_KEYS_NAME,
    alive_in,
)
from tuckshop.storage.sqlite import open_reader

_DAY_US: Final = 86_400 * US_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What is restored to."""

    data: Path
    ledger: Path
    bodies_max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What was done."""

    ledger: Restored
    bodies: int | None  # taken in; None: the backup has none
    person_keys: int | None
    person_keys_too_old: bool  # the copy should not exist any more
    credentials: bool  # put back
    has_credentials: bool  # the backup has a file of them
    erased: int  # members on the list, whom the next start erases if they came back
    bodies_here: int  # in the folder now
    bodies_dark: int  # of those, by persons whose keys are not there: nobody can read them


def restore(
    file: Path,
    where: Where,
    clock: Clock,
    *,
    passphrase: str | None = None,
    despite_differences: bool = False,
    erasures: Sequence[Path] = (),
) -> Whole:
    """
    Put the backup *file*, and what lies beside it, where it belongs.

    The next start erases whoever is on the list of erasures then, before it serves anybody (P4).

    Args:
        erasures: Further lists, such as that of a newer backup: who is on one of them does not come back.
        passphrase: None: credentials stay where they are.
        despite_differences: Also where the ledger contradicts itself.
    Raises:
        StoreError: One of its files is not whole or does not open; a server runs over the folder, or what is there
            belongs to another ledger. Then nothing was changed, except by what a crash or a full disk interrupted.
    """
    parts = Parts(file)
    backup = examine(file)
    secret, sealed = _credentials(parts, backup, passphrase)
    lists = [*erasures, *([parts.erasures] if parts.erasures.exists() else [])]
    for path in lists:
        if not path.exists():
            raise StoreError(f"there is no list of erasures at {path}")
        ErasureList(path).read()
    has_bodies, has_keys = parts.bodies.exists(), parts.person_keys.exists()
    if has_bodies:
        check_copy(parts.bodies)
    if has_keys:
        master = secret if secret is not None else kept_secret(where.data)
        check_key_copy(parts.person_keys, None if master is None else derived(master, PERSON_KEYS))
    bodies: int | None = None
    person_keys: int | None = None

    def take_in(draft: Path) -> None:
        nonlocal bodies, person_keys
        make_folder(where.data)
        mine = ErasureList.beside(where.ledger)
        for path in lists:  # before anything that could bring somebody back
            mine.merge(path)
        if secret is not None:
            put_secret(where.data, secret)
            put_sealed_back(draft, sealed)
        if has_keys:
            person_keys = take_in_person_keys(
                parts.person_keys, where.ledger.with_name(PERSON_KEYS_NAME)
            )
        if has_bodies:
            bodies = take_in_bodies(
                parts.bodies, where.data / BODIES_NAME, max_bytes=where.bodies_max_bytes
            )

    restored = ledger_restore.restore(
        file, where.ledger, clock, despite_differences=despite_differences, take_in=take_in
    )
    here, dark = _bodies_here(where)
    age_us = clock.now_us() - backup.made_at_us
    return Whole(
        ledger=restored,
        bodies=bodies,
        person_keys=person_keys,
        person_keys_too_old=has_keys and age_us > PERSON_KEYS_MAX_DAYS * _DAY_US,
        credentials=secret is not None,
        has_credentials=parts.credentials.exists(),
        erased=len(ErasureList.beside(where.ledger).read()),
        bodies_here=here,
        bodies_dark=dark,
    )


def has_credentials(file: Path) -> bool:
    """Is there something beside the backup that a passphrase opens?"""
    return Parts(file).credentials.exists()


def _credentials(
    parts: Parts, backup: Backup, passphrase: str | None
) -> tuple[bytes | None, list[SealedValue]]:
    if passphrase is None:
        return None, []
    if not parts.credentials.exists():
        raise StoreError(f"there are no credentials at {parts.credentials}")
    return read_credentials(parts.credentials, backup, passphrase)


def _bodies_here(where: Where) -> tuple[int, int]:
    """(bodies in the folder, those of persons without a key)."""
    with reading(where.data / BODIES_NAME) as found:
        counts = {} if found is None else found.by_member()
    keys = where.ledger.with_name(PERSON_KEYS_NAME)
    alive: set[str] = set()
    if counts and keys.exists():
        with closing(open_reader(keys)) as connection:
            alive = alive_in(connection, list(counts))
    dark = sum(count for member_id, count in counts.items() if member_id not in alive)
    return sum(counts.values()), dark
