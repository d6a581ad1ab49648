"""At the start: the workspace, made once and kept in the server's time zone; the directory, read."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from tuckshop.domain.actor import SYSTEM
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.windows import ZoneHistory
from tuckshop.services.directory import Directory
from tuckshop.storage.directory import DirectoryRows, load_directory
from tuckshop.storage.rows import text_of_zone, zone_of_text
from tuckshop.storage.schema import workspaces
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer


async def open_directory(writer: Writer, *, zone: str) -> Directory:
    """
    The directory as committed.

    Args:
        zone: Of the workspace's windows. After a change of it the running window keeps its end.
    """

    def work(transaction: Transaction) -> DirectoryRows:
        _put_workspace(transaction, zone)
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
