"""What `tuckshop doctor` finds out about upstreams: whether each has a credential that opens, and knows it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from tuckshop.domain.errors import SettingsError, StoreError
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.records import UpstreamRecord
from tuckshop.finding import Finding
from tuckshop.folder_files import CREDENTIALS, derived, kept_secret
from tuckshop.ledger.backup import has_upstreams
from tuckshop.services.upstreams import hint_of, told
from tuckshop.settings import Settings
from tuckshop.storage.database import open_for_reading
from tuckshop.storage.directory import load_upstreams
from tuckshop.storage.sealing import Sealer, SealError
from tuckshop.upstreams.base_url import parse_base_url
from tuckshop.upstreams.probe import Probe, probe
from tuckshop.upstreams.registry import Upstream
from tuckshop.ways_out import Connector, OwnAddresses, credential_of, upstream_setting


def examine_upstreams(settings: Settings, ledger: Path) -> Iterator[Finding]:
    """Whether there are upstreams, and each has a credential."""
    try:
        records = _records(settings, ledger)
    except SettingsError as error:
        yield Finding("bad", "upstream openai", str(error), "set it right")
        return
    if not records:
        yield Finding(
            "warning",
            "credential",
            "none is set here, so a server with these settings serves no calls",
            "set OPENAI_API_KEY_FILE (or run this command with the server's environment),"
            " or `tuckshop upstream add`",
        )
    for record in records:
        try:
            _credential(record, settings)
        except StoreError as error:
            yield Finding(
                "bad",
                f"upstream {record.name}",
                f"has no credential that can be used: {error}",
                f"tuckshop upstream edit {record.name} --credential",
            )


def ask_upstreams(settings: Settings, ledger: Path) -> list[Finding]:
    """Whether each upstream lists its models to our credential; costs nothing."""
    findings = [
        _asked(record, settings)
        for record in _records(settings, ledger)
        if record.credential_source
    ]
    return findings or [Finding("bad", "upstream", "none can be asked", "tuckshop upstream add")]


def _asked(record: UpstreamRecord, settings: Settings) -> Finding:
    subject = f"upstream {record.name}"
    try:
        credential = _credential(record, settings)
    except StoreError as error:
        return Finding("bad", subject, str(error), "give it again")
    found = asyncio.run(_probe(record, credential, settings))
    return Finding("ok" if found.result == "ok" else "bad", subject, told(found, record))


async def _probe(record: UpstreamRecord, credential: str, settings: Settings) -> Probe:
    connector = Connector(settings, OwnAddresses(settings))
    pool = connector.connect(parse_base_url(record.base_url), record.reach)
    try:
        return await probe(
            Upstream(
                name=record.name,
                profile=record.profile,
                models=record.models,
                pool=pool,
                credential=credential,
            )
        )
    finally:
        await pool.close()


def _records(settings: Settings, ledger: Path) -> list[UpstreamRecord]:
    """Those of the ledger, as the next start would have them."""
    found = {record.name: record for record in _of_ledger(ledger)}
    setting = upstream_setting(settings)
    if setting is not None:
        before = found.pop(setting.name, None)
        followed = UpstreamRecord(
            id="" if before is None else before.id,
            workspace_id=DEFAULT_WORKSPACE,
            name=setting.name,
            family="openai",
            profile=setting.profile,
            base_url=setting.base_url,
            models=None if before is None else before.models,
            reach="any",
            credential_source="setting",
            sealed=None,
            last4=hint_of(setting.credential),
        )
        return [followed, *found.values()]
    return [record for record in found.values() if record.credential_source != "setting"]


def _of_ledger(ledger: Path) -> tuple[UpstreamRecord, ...]:
    try:
        with closing(open_for_reading(ledger)) as driver:
            if not has_upstreams(driver):
                return ()
            engine = create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)
            with engine.connect() as connection:
                return load_upstreams(connection, DEFAULT_WORKSPACE)
    except (StoreError, sqlite3.Error, OSError):
        return ()  # what is wrong with the ledger is told as such


def _credential(record: UpstreamRecord, settings: Settings) -> str:
    """
    Raises:
        StoreError: There is none, or it does not open.
    """
    if record.credential_source is None:
        raise SealError("none was given")
    master = kept_secret(settings.data) if record.sealed is not None else bytes(32)
    if master is None:
        raise SealError("secret-key is missing")
    return credential_of(record, settings, Sealer(derived(master, CREDENTIALS)))
