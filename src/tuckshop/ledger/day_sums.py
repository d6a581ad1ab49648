"""
The roll-up summed once more, so that reports over long times need not read every quarter of an hour of every key.

`usage_days` has a row per UTC day of a key, `usage_spans` one per 16 UTC days of a key, `usage_quarters` one per
quarter of a group. They hold exactly the quarters before a *mark*, the start of today at most, that moves on in small
steps beside the calls. So a call costs nothing more; only what comes late, a settlement or a correction of a call
admitted before the mark, is added here too, in the transaction that adds it to its quarter. What is not before the
mark is read from the quarters of the keys.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from tuckshop.storage.transaction import Transaction

DAY_US: Final = 86_400 * 1_000_000
SPAN_US: Final = 16 * DAY_US
QUARTER_US: Final = 900 * 1_000_000
STEP_ROWS: Final = (
    100  # of a step, as a rule, which take 2 or 3 ms; one quarter of an hour at least
)
MARK: Final = "usage_days:"  # and a workspace: a setting, microseconds

_KEY: Final = "workspace_id, bucket, group_id, member_id, key_id, model, endpoint"
_SUMS: Final = ("requests", "input_tokens", "output_tokens", "cached_tokens", "cost")
_ADD: Final = "ON CONFLICT DO UPDATE SET " + ", ".join(
    f"{name} = {name} + excluded.{name}" for name in _SUMS
)
_NAMES: Final = ", ".join(_SUMS)
_SUMMED: Final = ", ".join(f"sum({name})" for name in _SUMS)

_COARSE: Final = "workspace_id, bucket, group_id, model, endpoint"


class Table(NamedTuple):
    """A table of sums: its key, and how long a time a row of it holds."""

    name: str
    key: str
    step_us: int

    @property
    def of(self) -> str:
        """Its key, as a quarter has it."""
        return self.key.replace("bucket", f"bucket - bucket % {self.step_us}")


TABLES: Final = (
    Table("usage_days", _KEY, DAY_US),
    Table("usage_spans", _KEY, SPAN_US),
    Table("usage_quarters", _COARSE, QUARTER_US),
)

_NEXT: Final = """
SELECT bucket FROM usage_buckets WHERE workspace_id = ? AND bucket >= ? AND bucket < ?
ORDER BY bucket LIMIT 1 OFFSET ?
"""


class DaySums:
    """Moves the mark on, and adds what comes late. On the writer's thread."""

    def __init__(self) -> None:
        self._marks: dict[str, int] = {}

    def forget(self) -> None:
        """What was done may be undone: read the marks again."""
        self._marks.clear()

    def add_late(
        self,
        transaction: Transaction,
        buckets: Mapping[tuple[str, int, str, str, str, str, str], Sequence[int]],
    ) -> None:
        """Add to the sums what of *buckets* lies before the mark."""
        late = [one for one in buckets.items() if one[0][1] < self._mark(transaction, one[0][0])]
        if not late:
            return
        for table in TABLES:
            places = [_KEY.split(", ").index(name) for name in table.key.split(", ")]
            rows = [
                (*((key[0], key[1] - key[1] % table.step_us, *key[2:])[at] for at in places), *sums)
                for key, sums in late
            ]
            marks = ", ".join("?" for _ in rows[0])
            transaction.cursor.executemany(
                f"INSERT INTO {table.name} ({table.key}, {_NAMES}) VALUES ({marks}) {_ADD}",  # noqa: S608 - constants
                rows,
            )

    def advance(self, transaction: Transaction, *, rows: int = STEP_ROWS) -> bool:
        """
        Move the mark of one workspace on by about *rows* rows.

        Returns:
            Whether there may be more to do.
        """
        goal_us = transaction.now_us - transaction.now_us % DAY_US
        cursor = transaction.cursor
        for (workspace_id,) in cursor.execute("SELECT id FROM workspaces ORDER BY id").fetchall():
            mark_us = self._mark(transaction, workspace_id)
            if mark_us >= goal_us:
                continue
            end_us = _end_of_step(cursor, workspace_id, mark_us, goal_us, rows)
            add_between(cursor, workspace_id, mark_us, end_us)
            transaction.remember(f"{MARK}{workspace_id}", str(end_us))
            self._marks[workspace_id] = end_us
            return True
        return False

    def _mark(self, transaction: Transaction, workspace_id: str) -> int:
        mark_us = self._marks.get(workspace_id)
        if mark_us is None:
            mark_us = int(transaction.setting(f"{MARK}{workspace_id}") or 0)
            self._marks[workspace_id] = mark_us
        return mark_us


def _end_of_step(
    cursor: sqlite3.Cursor, workspace_id: str, mark_us: int, goal_us: int, rows: int
) -> int:
    """The start of a quarter; from the mark up to it there are *rows* rows, or one quarter's, or fewer at the end."""
    ends = [
        cursor.execute(_NEXT, (workspace_id, mark_us, goal_us, offset)).fetchone()
        for offset in (0, rows)
    ]
    if ends[0] is None or ends[1] is None:
        return goal_us
    return int(max(ends[1][0], ends[0][0] + QUARTER_US))


def add_between(cursor: sqlite3.Cursor, workspace_id: str, start_us: int, end_us: int) -> None:
    """Add the quarters from *start_us* up to *end_us*, which are in no sum yet."""
    for name, key, of in ((table.name, table.key, table.of) for table in TABLES):
        cursor.execute(
            f"INSERT INTO {name} ({key}, {_NAMES}) SELECT {of}, {_SUMMED} FROM usage_buckets"  # noqa: S608 - constants
            f" WHERE workspace_id = ? AND bucket >= ? AND bucket < ? GROUP BY {of} {_ADD}",
            (workspace_id, start_us, end_us),
        )


def differing(
    cursor: sqlite3.Cursor, workspace_id: str, *, since_us: int
) -> Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Where the sums from the span of *since_us* on are not those of the quarters (M8), and both."""
    row = cursor.execute(
        "SELECT value FROM settings WHERE name = ?", (f"{MARK}{workspace_id}",)
    ).fetchone()
    mark_us = int(row[0]) if row is not None else 0
    since_us -= since_us % SPAN_US
    zeros = (0,) * len(_SUMS)
    for name, key, of in ((table.name, table.key, table.of) for table in TABLES):
        width = key.count(",") + 1
        expected, found = (
            {row[:width]: row[width:] for row in cursor.execute(query, values).fetchall()}
            for query, values in (
                (
                    f"SELECT {of}, {_SUMMED} FROM usage_buckets"  # noqa: S608 - constants
                    f" WHERE workspace_id = ? AND bucket >= ? AND bucket < ? GROUP BY {of}",
                    (workspace_id, since_us, mark_us),
                ),
                (
                    f"SELECT {key}, {_NAMES} FROM {name} WHERE workspace_id = ? AND bucket >= ?",  # noqa: S608 - constants
                    (workspace_id, since_us),
                ),
            )
        )
        for one in expected.keys() | found.keys():
            if expected.get(one, zeros) != found.get(one, zeros):
                where = f"{name} {' '.join(map(str, one[1:]))} ({_NAMES})"
                yield where, expected.get(one, zeros), found.get(one, zeros)
