"""At the start: the workspace in the server's time zone, the upstream that the settings name, the directory, read."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, insert, select, update

from tuckshop.domain.actor import SYSTEM
from tuckshop.domain.ids import DEFAULT_WORKSPACE, new_id
from tuckshop.domain.records import UpstreamProfile
from tuckshop.domain.windows import ZoneHistory
from tuckshop.services.directory import Directory
from tuckshop.services.upstreams import audited, hint_of
from tuckshop.storage.directory import DirectoryRows, load_directory
from tuckshop.storage.rows import text_of_zone, zone_of_text
from tuckshop.storage.schema import upstreams, workspaces
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSetting:
    """The upstream that the settings name."""

    name: str
    base_url: str
    profile: UpstreamProfile
    credential: str = field(repr=False)


async def open_directory(
    writer: Writer, *, zone: str, upstream: UpstreamSetting | None = None
) -> Directory:
    """
    The directory as committed.

    Args:
        zone: Of the workspace's windows. After a change of it the running window keeps its end.
        upstream: What the settings say; the upstream of that name follows them at every start. None: they name none.
    """

    def work(transaction: Transaction) -> DirectoryRows:
        _put_workspace(transaction, zone)
        _follow_setting(transaction, upstream)
        (rows,) = load_directory(transaction.connection)
        return rows

    return Directory(await writer.transact(work))


def _put_workspace(transaction: Transaction, zone: str) -> None:
    query = select(workspaces.c.zone_changes).where(workspaces.c.id == DEFAULT_WORKSPACE)
    column = transaction.connection.execute(query).scalar()
    if column is None:
        transaction.connection.execute(
            insert(workspaces).values(
                id=DEFAULT_WORKSPACE,
                name="default",
                zone_changes=text_of_zone(ZoneHistory.of(zone)),
                created_at=transaction.now_us,
            )
        )
        transaction.audit(SYSTEM, "workspace.create", DEFAULT_WORKSPACE, None, {"time_zone": zone})
        return
    history = zone_of_text(column)
    if history.current != zone:
        transaction.connection.execute(
            update(workspaces)
            .where(workspaces.c.id == DEFAULT_WORKSPACE)
            .values(zone_changes=text_of_zone(history.changed(transaction.now_us, zone)))
        )
        transaction.touch_directory(DEFAULT_WORKSPACE)
        transaction.audit(
            SYSTEM,
            "workspace.change",
            DEFAULT_WORKSPACE,
            {"time_zone": history.current},
            {"time_zone": zone},
        )


def _follow_setting(transaction: Transaction, setting: UpstreamSetting | None) -> None:
    """Make the upstream's row say what the settings say, or take out the row of one that they name no more."""
    if setting is None:
        _drop_unset(transaction)
        return
    before = _row(transaction, upstreams.c.name == setting.name)
    said: dict[str, object] = {
        "family": "openai",
        "profile": setting.profile,
        "base_url": setting.base_url,
        "reach": "any",
        "credential_source": "setting",
        "sealed": None,  # it stands in the settings alone
        "last4": hint_of(setting.credential),
    }
    if before is None:
        upstream_id = new_id("upr", transaction.now_us)
        row = {
            "workspace_id": DEFAULT_WORKSPACE,
            "id": upstream_id,
            "name": setting.name,
            "models": None,
            **said,
            "created_at": transaction.now_us,
        }
        transaction.connection.execute(insert(upstreams).values(row))
        transaction.audit(SYSTEM, "upstream.add", upstream_id, None, audited(row))
        transaction.touch_directory(DEFAULT_WORKSPACE)
        return
    changed = {name: value for name, value in said.items() if before[name] != value}
    if not changed:
        return
    if before["credential_source"] == "sealed":
        _log.warning(
            "the upstream %s follows the settings again: the credential that it was given meanwhile is dropped",
            setting.name,
        )
    transaction.connection.execute(update(upstreams).where(*_is(before)).values(changed))
    old = {name: before[name] for name in changed}
    transaction.audit(SYSTEM, "upstream.change", before["id"], audited(old), audited(changed))
    transaction.touch_directory(DEFAULT_WORKSPACE)


def _drop_unset(transaction: Transaction) -> None:
    before = _row(transaction, upstreams.c.credential_source == "setting")
    if before is not None:
        transaction.connection.execute(delete(upstreams).where(*_is(before)))
        transaction.audit(SYSTEM, "upstream.remove", before["id"], audited(before), None)
        transaction.touch_directory(DEFAULT_WORKSPACE)


def _row(transaction: Transaction, which: ColumnElement[bool]) -> dict[str, Any] | None:
    query = select(upstreams).where(upstreams.c.workspace_id == DEFAULT_WORKSPACE, which)
    row = transaction.connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _is(row: dict[str, Any]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return upstreams.c.workspace_id == row["workspace_id"], upstreams.c.id == row["id"]
