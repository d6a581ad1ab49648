"""
Making a backup, also while a server runs: its files are there whole and proven, or not at all.

The server takes no part in it. The ledger is copied first and the rest after it, so that there is a key for each body
and a body for each call that kept one; the list of who was erased last of all. The ledger's file gets its name last:
where it is, the backup is finished.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tuckshop.backups.credentials import write_credentials
from tuckshop.backups.draft_folder import draft_folder, publish
from tuckshop.backups.parts import Parts
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import StoreError
from tuckshop.folder_files import kept_secret
from tuckshop.keeping.body_copies import copy_bodies
from tuckshop.keeping.body_file import NAME as BODIES_NAME
from tuckshop.ledger.backup import Backup, copy_ledger, examine
from tuckshop.ledger.verify import Report, verify
from tuckshop.storage.database import open_for_reading
from tuckshop.storage.erasures import ErasureList
from tuckshop.storage.person_key_copies import copy_person_keys
from tuckshop.storage.person_keys import PERSON_KEYS_NAME
from tuckshop.storage.sqlite import open_reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a backup is to hold beside the ledger."""

    bodies: bool = True
    person_keys: bool = False
    passphrase: str | None = None  # None: no credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made."""

    backup: Backup
    report: (
        Report  # what a full verification says: a copy of a ledger that contradicts itself is kept
    )
    bodies: Path | None  # None: not wished, or there are none
    person_keys: Path | None
    credentials: Path | None


def make(data: Path, ledger: Path, target: Path, clock: Clock, wish: Wish | None = None) -> Made:
    """
    Copy *ledger*, and what else of the folder *data* is wished, to *target* and files beside it.

    Raises:
        StoreError: There is something at one of their places, they cannot be written, or what is there cannot be read.
    """
    wish = wish if wish is not None else Wish()
    parts = Parts(target)
    for path in parts.present():
        raise StoreError(f"{path} is there already, and a backup replaces nothing: name another")
    secret = kept_secret(data) if wish.passphrase is not None else None
    if wish.passphrase is not None and secret is None:
        raise StoreError(f"there is no secret-key in {data}, so there is nothing that it seals")
    made_at_us = clock.now_us()  # before the copy, so that the gap is never told too short
    drafts: list[tuple[Path, Path]] = []
    try:
        with draft_folder(target.parent) as folder:
            draft = folder / "ledger"
            with closing(open_for_reading(ledger)) as source:
                sealed = copy_ledger(source, draft, made_at_us=made_at_us)
            backup = replace(examine(draft), path=target)
            with closing(open_reader(draft)) as copy:
                report = verify(copy, full=True)

            def add(place: Path, write: Callable[[Path], bool]) -> Path | None:
                beside = folder / place.name
                if not write(beside):
                    return None
                drafts.append((beside, place))
                return place

            bodies = person_keys = credentials = None
            erasures = ErasureList.beside(ledger)
            # Whose bodies may be in the copy though the list says a moment later that they are gone.
            unfinished = [one for one in erasures.read() if not one.is_done]
            if wish.bodies:
                bodies = add(parts.bodies, lambda to: copy_bodies(data / BODIES_NAME, to))
            if wish.person_keys:
                keys = ledger.with_name(PERSON_KEYS_NAME)
                person_keys = add(parts.person_keys, lambda to: copy_person_keys(keys, to))
            if wish.passphrase is not None and secret is not None:
                path = folder / parts.credentials.name
                write_credentials(path, backup, secret, sealed, wish.passphrase)
                credentials = parts.credentials
                drafts.append((path, credentials))
            add(parts.erasures, lambda to: erasures.copy(to, unfinished=unfinished))
            _publish([*drafts, (draft, target)])
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{target} cannot be made: {error}") from error
    return Made(
        backup=backup,
        report=report,
        bodies=bodies,
        person_keys=person_keys,
        credentials=credentials,
    )


def _publish(drafts: list[tuple[Path, Path]]) -> None:
    """Give all their names, or none."""
    named: list[Path] = []
    try:
        for draft, target in drafts:
            publish(draft, target)
            named.append(target)
    except BaseException:
        for target in named:
            target.unlink(missing_ok=True)
        raise
