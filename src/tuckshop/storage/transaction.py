"""
One transaction of the writer, as those see it who work inside: the ledger's batches and the admin's changes.

What has to be read from the database only once, because nobody else writes it, is kept here: the last position given,
each workspace's directory version and the end of its audit chain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, insert
from sqlalchemy.dialects import sqlite

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.storage import schema
from tuckshop.storage.audit import FIRST_HASH, audit_row

POSITIONS_AHEAD: Final = 65_536  # how many positions one settings row reserves
# Worded once: an import writes ten thousand of them.
_INSERT_AUDIT: Final = str(insert(schema.audit).compile(dialect=sqlite.dialect(paramstyle="named")))


@dataclass(frozen=True, slots=True)
class _Chain:
    number: int
    hash: bytes


class Transaction:
    """
    What work inside the writer's transaction may use. Valid until the work returns; never kept.

    Work may be run again when the batch it was in is rolled back, so it must change nothing but the database.
    """

    def __init__(self, connection: Connection, cursor: sqlite3.Cursor) -> None:
        self.connection = connection  # SQLAlchemy, over the same driver connection as `cursor`
        self.cursor = cursor  # plain SQL, compiled once: the ledger's way
        self._cursor = (
            cursor.connection.cursor()
        )  # our own: whoever reads from `cursor` may call us
        self.now_us = (
            0  # the guarded wall clock, the same all through the transaction, never going back
        )
        self._positions: dict[str, int] = {}
        self._ceilings: dict[str, int] = {}  # positions up to here are reserved by a settings row
        self._versions: dict[str, int] = {}
        self._known_since: dict[str, int] = {}  # the version from which on `_changed` is complete
        self._changed: dict[str, int] = {}  # id → the version that changed it last
        self._chains: dict[str, _Chain] = {}
        self._touched: set[str] = set()
        self._undos: list[Callable[[], None]] = []
        self._saved: list[tuple[dict[str, int], dict[str, _Chain], set[str], int]] = []

    # ── for everybody ─────────────────────────────────────────────────────────────────────────────────────────

    def next_position(self, workspace_id: str = DEFAULT_WORKSPACE) -> int:
        """The next of the workspace's sequence. Never given twice; a rolled back transaction may leave a gap."""
        position = self._positions.get(workspace_id)
        if position is None:
            position = self._load_position(workspace_id)
        position += 1
        if position > self._ceilings[workspace_id]:
            self._reserve_positions(workspace_id, position + POSITIONS_AHEAD)
        self._positions[workspace_id] = position
        return position

    def last_position(self, workspace_id: str = DEFAULT_WORKSPACE) -> int:
        """The position given last; 0: none yet."""
        position = self._positions.get(workspace_id)
        return self._load_position(workspace_id) if position is None else position

    def directory_version(self, workspace_id: str = DEFAULT_WORKSPACE) -> int:
        """
        The version of the workspace's directory, changes of this transaction included.

        Raises:
            NotFoundError: No such workspace.
        """
        version = self._versions.get(workspace_id)
        if version is None:
            row = self._cursor.execute(
                "SELECT directory_version FROM workspaces WHERE id = ?", (workspace_id,)
            ).fetchone()
            if row is None:
                raise NotFoundError(f"workspace {workspace_id}")
            version = self._versions[workspace_id] = int(row[0])
            self._known_since.setdefault(workspace_id, version)
        return version

    def still_stands(self, workspace_id: str, version: int, ids: Iterable[str]) -> bool:
        """Has nothing of *ids*, nor the workspace itself, changed since the directory was at *version* (D6)?"""
        now = self.directory_version(workspace_id)
        if version == now:
            return True
        if not self._known_since[workspace_id] <= version < now:
            return False
        changed = self._changed
        return changed.get(workspace_id, 0) <= version and all(
            changed.get(id_, 0) <= version for id_ in ids
        )

    def touch_directory(
        self, workspace_id: str = DEFAULT_WORKSPACE, ids: Iterable[str] | None = None
    ) -> int:
        """
        Say that workspace, groups, members or keys changed: calls identified before are identified again (D6).

        Args:
            ids: What changed, so that calls of others go on. None: anything may have.
        Returns:
            The new version.
        """
        version = self.directory_version(workspace_id) + 1
        self._cursor.execute(
            "UPDATE workspaces SET directory_version = ? WHERE id = ?", (version, workspace_id)
        )
        self._versions[workspace_id] = version
        self._touched.add(workspace_id)
        # Not undone by a rollback: a change that was not made only sends a call back once too often.
        self._changed.update(dict.fromkeys((workspace_id,) if ids is None else ids, version))
        return version

    def audit(
        self,
        actor: Actor,
        action: str,
        object_id: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        *,
        workspace_id: str = DEFAULT_WORKSPACE,
    ) -> int:
        """
        Write down who did what (K16). *before* and *after* are JSON values without secrets.

        Returns:
            The row's number.
        """
        chain = self._chains.get(workspace_id) or self._load_chain(workspace_id)
        row = audit_row(
            workspace_id=workspace_id,
            number=chain.number + 1,
            at_us=self.now_us,
            actor=actor,
            action=action,
            object_id=object_id,
            before=before,
            after=after,
            previous_hash=chain.hash,
        )
        self._cursor.execute(_INSERT_AUDIT, row)
        self._chains[workspace_id] = _Chain(chain.number + 1, row["hash"])
        return chain.number + 1

    def setting(self, name: str) -> str | None:
        """What the server remembers under *name*."""
        row = self._cursor.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Keep *value* under *name*."""
        self._cursor.execute(
            "INSERT INTO settings (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def on_undo(self, undo: Callable[[], None]) -> None:
        """
        Call *undo* if the savepoint that is open now is rolled back while the rest of the batch stands.

        For the ledger, whose memory an admin job may change. A batch that is rolled back as a whole calls no *undo*:
        there `BatchHandler.rolled_back` puts everything back.
        """
        self._undos.append(undo)

    # ── for the writer ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def touched(self) -> frozenset[str]:
        """The workspaces whose directory this transaction changed."""
        return frozenset(self._touched)

    def opened(self, now_us: int) -> None:
        """A transaction has begun."""
        assert not self._saved
        self.now_us = now_us
        self._touched = set()
        self._undos.clear()
        self.save()

    def save(self) -> None:
        """A savepoint was set."""
        self._saved.append(
            (dict(self._versions), dict(self._chains), set(self._touched), len(self._undos))
        )

    def keep(self) -> None:
        """The last savepoint was released, or the transaction committed."""
        self._saved.pop()

    def restore(self) -> None:
        """The last savepoint, or the transaction, was rolled back."""
        self._versions, self._chains, self._touched, undos = self._saved.pop()
        while len(self._undos) > undos:
            self._undos.pop()()
        self._ceilings = dict.fromkeys(self._ceilings, 0)  # their rows may be gone: written again

    def closed_without_commit(self) -> None:
        """The transaction was rolled back: forget what it said, all savepoints included."""
        self._undos.clear()  # the handler puts its memory back as a whole
        while self._saved:
            self.restore()

    def remember_positions(self) -> None:
        """At a clean stop: leave no gap for the next start."""
        for workspace_id, position in self._positions.items():
            self._reserve_positions(workspace_id, position)

    def _reserve_positions(self, workspace_id: str, ceiling: int) -> None:
        self.remember(f"position:{workspace_id}", str(ceiling))
        self._ceilings[workspace_id] = ceiling

    def _load_position(self, workspace_id: str) -> int:
        # A crash leaves the row of the reserved positions ahead of the last one used: a gap, never a repetition.
        # The rows are asked too, so that a lost or older settings row repeats nothing that they show.
        stored = int(self.setting(f"position:{workspace_id}") or 0)
        shown = [
            self._cursor.execute(query, (workspace_id,)).fetchone()[0] or 0
            for query in (
                "SELECT max(position) FROM requests WHERE workspace_id = ?",
                "SELECT max(position) FROM entries WHERE workspace_id = ?",
                "SELECT max(position) FROM closings WHERE workspace_id = ?",
            )
        ]
        position = max(stored, *shown)
        self._positions[workspace_id] = position
        self._ceilings[workspace_id] = 0
        return position

    def _load_chain(self, workspace_id: str) -> _Chain:
        row = self._cursor.execute(
            "SELECT number, hash FROM audit WHERE workspace_id = ? ORDER BY number DESC LIMIT 1",
            (workspace_id,),
        ).fetchone()
        chain = _Chain(0, FIRST_HASH) if row is None else _Chain(int(row[0]), bytes(row[1]))
        self._chains[workspace_id] = chain
        return chain
