"""The small files that the server keeps in its data folder: its secret, the operator's token, where it listens."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Final

from tuckshop.domain.errors import StoreError

SECRET_NAME: Final = "secret-key"  # noqa: S105 - a file's name
TOKEN_NAME: Final = "admin-token"  # noqa: S105 - a file's name
RUN_NAME: Final = "run.json"
PSEUDONYMS: Final = "member pseudonyms"  # what the key behind them is derived for
CREDENTIALS: Final = "upstream credentials"  # what the key that seals them is derived for


def master_secret(folder: Path) -> bytes:
    """The 32 bytes that every key of this server is derived from; made on first start, kept outside the database."""
    kept = kept_secret(folder)
    if kept is None:
        kept = secrets.token_bytes(32)
        _write_private(folder / SECRET_NAME, kept.hex(), exclusive=True)
    return kept


def kept_secret(folder: Path) -> bytes | None:
    """The same where there is one already."""
    path = folder / SECRET_NAME
    text = _read(path)
    if text is None:
        return None
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise StoreError(f"{path} is damaged: expected 64 hex digits; restore it from a backup")
    return secret


def put_secret(folder: Path, secret: bytes) -> None:
    """
    Put a restored secret there; nothing happens where it is there already.

    Raises:
        StoreError: There is another one, with which something may be sealed.
    """
    kept = kept_secret(folder)
    if kept is None:
        _write_private(folder / SECRET_NAME, secret.hex(), exclusive=True)
    elif kept != secret:
        raise StoreError(
            f"{folder / SECRET_NAME} is another than the backup's, and something may be sealed with it:"
            " restore into an empty folder (TUCKSHOP_DATA), or leave the credentials out"
        )


def derived(master: bytes, purpose: str) -> bytes:
    """A key for one *purpose*: HMAC-SHA-256 of its name, so that no two purposes share one (K14)."""
    return hmac.digest(master, purpose.encode(), "sha256")


def pseudonym(key: bytes, member_id: str) -> str:
    """What an upstream may know of a member: stable, 64 characters, worth nothing without *key* (P3, K10)."""
    return hmac.new(key, member_id.encode(), hashlib.sha256).hexdigest()


def admin_token(folder: Path, configured: str | None) -> str:
    """The operator's token: as set, else the one in the folder, made on first start (0600)."""
    path = folder / TOKEN_NAME
    kept = _read(path)
    if configured is not None:
        if kept != configured:  # the commands on this machine find it here
            _write_private(path, configured, exclusive=False)
        return configured
    if kept is None:
        kept = secrets.token_urlsafe(32)
        _write_private(path, kept, exclusive=True)
    if len(kept) < 16:
        raise StoreError(f"{path} is empty; delete it, and the next start makes one")
    return kept


def write_run_file(folder: Path, *, url: str, calls_url: str) -> None:
    """
    Tell the commands on this machine where the server listens.

    Args:
        url: Of the admin API.
        calls_url: How people reach the data plane; its base URL is this and `/v1`.
    """
    run = {"url": url, "calls_url": calls_url, "pid": os.getpid()}
    _write_private(folder / RUN_NAME, json.dumps(run), exclusive=False)


def remove_run_file(folder: Path) -> None:
    """The server listens no more."""
    (folder / RUN_NAME).unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _write_private(path: Path, text: str, *, exclusive: bool) -> None:
    """Write the whole file or none of it, for its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        if exclusive and path.exists():
            draft.unlink()
            raise StoreError(f"{path} appeared while it was made; start again")
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error
