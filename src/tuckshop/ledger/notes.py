"""Refusals in the log: at most one row a second per key and reason, with a count of repeats (section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tuckshop.domain.reservation import RefusedRow
from tuckshop.ledger import store
from tuckshop.storage.transaction import Transaction

SHARED_S: Final = 1.0  # refusals of one key for one reason within so many seconds share a row
_Reason = tuple[str, str]


@dataclass(slots=True)
class _Note:
    workspace_id: str
    request_id: str
    until_s: float
    repeats: int = 0  # not written yet


class RefusalNotes:
    """Writes the first of each second at once, and the number of its repeats when the second is over."""

    def __init__(self, boot_id: str) -> None:
        self._boot_id = boot_id
        self._notes: dict[_Reason, _Note] = {}  # oldest first
        self._new: list[_Reason] = []

    @property
    def due_s(self) -> float | None:
        """When the next count is to be written."""
        return min((note.until_s for note in self._notes.values() if note.repeats), default=None)

    def begin(self) -> None:
        """A transaction is open: what comes from here on can be undone."""
        self._new.clear()

    def undo(self) -> None:
        """The rows of this transaction are not there."""
        for reason in self._new:
            self._notes.pop(reason, None)
        self._new.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._notes.clear()
        self._new.clear()

    def note(self, transaction: Transaction, row: RefusedRow, now_s: float) -> None:
        """Take *row* into the log, or count it."""
        reason = (row.key_id, row.error)
        note = self._notes.get(reason)
        if note is not None and now_s < note.until_s:
            note.repeats += 1
            return
        if note is not None:
            del self._notes[reason]
            self._write(transaction, [note])
        position = transaction.next_position(row.workspace_id)
        now_us = transaction.now_us
        transaction.cursor.execute(
            store.INSERT_REFUSAL,
            (
                row.workspace_id,
                row.request_id,
                position,
                position,
                now_us,
                now_us,
                self._boot_id,
                row.group_id,
                row.member_id,
                row.key_id,
                row.endpoint,
                row.model,
                row.error,
                row.http_status,
                row.tag,
                row.network,
            ),
        )
        self._notes[reason] = _Note(row.workspace_id, row.request_id, now_s + SHARED_S)
        self._new.append(reason)

    def write_due(self, transaction: Transaction, now_s: float) -> None:
        """Write the counts of seconds that are over."""
        over: list[_Note] = []
        for reason, note in list(self._notes.items()):
            if now_s < note.until_s:
                break
            over.append(note)
            del self._notes[reason]
        self._write(transaction, over)

    def write(self, transaction: Transaction) -> None:
        """Write every count now."""
        self._write(transaction, list(self._notes.values()))

    def _write(self, transaction: Transaction, notes: list[_Note]) -> None:
        rows = [
            (note.repeats, note.workspace_id, note.request_id) for note in notes if note.repeats
        ]
        if rows:
            transaction.cursor.executemany(store.REPEAT_REFUSAL, rows)
            for note in notes:
                note.repeats = 0
