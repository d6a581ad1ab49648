"""
The part of a backup that opens things: `secret-key` and what is sealed with it, closed with a passphrase (P10).

The file is a line that names its form, 16 bytes of salt, and a sealed JSON object. It is bound to the backup that it
was made with, so that it is never put into another ledger.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError
from tuckshop.ledger.backup import Backup, SealedValue
from tuckshop.storage.sealing import KEY_BYTES, Sealer, SealError

PASSPHRASE_MIN_CHARS: Final = 12
_HEAD: Final = b"tuckshop credentials 1\n"
_SALT_BYTES: Final = 16
_COST: Final = 2**16  # scrypt: 64 MiB and about a fifth of a second for each guess
_BLOCK: Final = 8
_MEMORY_MAX_BYTES: Final = 128 << 20


def write_credentials(
    path: Path, backup: Backup, secret: bytes, values: list[SealedValue], passphrase: str
) -> None:
    """
    Write *secret* (that of `secret-key`) and *values* to the new file *path*, for its owner only.

    Raises:
        StoreError: The passphrase is too short.
        OSError: It cannot be written.
    """
    if len(passphrase) < PASSPHRASE_MIN_CHARS:
        raise StoreError(f"the passphrase is shorter than {PASSPHRASE_MIN_CHARS} characters")
    content = {
        "secret_key": secret.hex(),
        "values": [
            [one.table, one.workspace_id, one.id, base64.b64encode(one.sealed).decode()]
            for one in values
        ],
    }
    salt = secrets.token_bytes(_SALT_BYTES)
    sealed = _sealer(passphrase, salt).seal(json.dumps(content), place=_place(backup))
    with path.open("xb") as file:
        path.chmod(0o600)
        file.write(_HEAD + salt + sealed)


def read_credentials(
    path: Path, backup: Backup, passphrase: str
) -> tuple[bytes, list[SealedValue]]:
    """
    (the secret of `secret-key`, what is sealed with keys derived from it).

    Raises:
        StoreError: It cannot be read, does not open with *passphrase*, or belongs to another backup.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    if not content.startswith(_HEAD):
        raise StoreError(f"{path} holds no credentials that this program reads")
    start = len(_HEAD)
    salt, sealed = content[start : start + _SALT_BYTES], content[start + _SALT_BYTES :]
    try:
        text = _sealer(passphrase, salt).open(sealed, place=_place(backup))
    except SealError:
        raise StoreError(
            f"{path} does not open: the passphrase is another, or the file is damaged or belongs to another backup"
        ) from None
    found = json.loads(text)
    values = [
        SealedValue(table, workspace_id, id_, base64.b64decode(sealed))
        for table, workspace_id, id_, sealed in found["values"]
    ]
    return bytes.fromhex(found["secret_key"]), values


def _sealer(passphrase: str, salt: bytes) -> Sealer:
    key = hashlib.scrypt(
        passphrase.encode(),
        salt=salt,
        n=_COST,
        r=_BLOCK,
        p=1,
        maxmem=_MEMORY_MAX_BYTES,
        dklen=KEY_BYTES,
    )
    return Sealer(key)


def _place(backup: Backup) -> str:
    return f"backup/{backup.epoch}/{backup.made_at_us}"
