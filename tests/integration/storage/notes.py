"""A small handler for tests of the writer: it writes notes, keeps them in memory too, and can park."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tuckshop.storage.batch import Answer, Submission
from tuckshop.storage.database import Database, prepare
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

NOON_US = 1_795_521_600_000_000


@dataclass
class ManualClock:
    """A clock that stands still unless it is moved."""

    wall_us: int = NOON_US
    monotonic: float = 100.0

    def now_us(self) -> int:
        return self.wall_us

    def monotonic_s(self) -> float:
        return self.monotonic

    def boot_s(self) -> float:
        return self.monotonic

    def pass_s(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall_us += int(seconds * 1_000_000)


class JumpingClock(ManualClock):
    """Real durations, and a wall clock that can be set."""

    def monotonic_s(self) -> float:
        return time.monotonic()


@dataclass(frozen=True)
class Note:
    """Write `text`; answered with its position."""

    text: str


@dataclass(frozen=True)
class Wait:
    """Parked until `Release` or the deadline."""

    text: str
    until_s: float = float("inf")


@dataclass(frozen=True)
class Release:
    """Let all that wait go."""


@dataclass(frozen=True)
class Fail:
    """A mistake in the handler."""


@dataclass
class Notes:
    """Remembers what it wrote, so that memory and rows can be compared."""

    texts: list[str] = field(default_factory=list)
    parked: list[Submission] = field(default_factory=list)
    loads: list[list[object]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    _before: tuple[list[str], list[Submission]] = field(default_factory=lambda: ([], []))
    transaction: Transaction | None = None

    def load(self, transaction: Transaction, unreported: Sequence[Submission]) -> None:
        for submission in unreported:
            if isinstance(submission.operation, Note) and not submission.kept:
                transaction.cursor.execute(
                    "DELETE FROM prices WHERE id = ?", (submission.operation.text,)
                )
        rows = transaction.cursor.execute("SELECT id FROM prices ORDER BY first_used_at").fetchall()
        self.texts = [text for (text,) in rows]
        self.parked = []
        self.loads.append([submission.operation for submission in unreported])

    def begin(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self._before = (list(self.texts), list(self.parked))

    def apply(self, submissions: Sequence[Submission]) -> Iterable[Answer]:
        assert self.transaction is not None
        self.batches.append(len(submissions))
        answers: list[Answer] = []
        for submission in submissions:
            match submission.operation:
                case Note(text):
                    answers.append((submission, self._write(text)))
                case Wait():
                    self.parked.append(submission)
                case Release():
                    answers += [
                        (parked, self._write(parked.operation.text)) for parked in self.parked
                    ]
                    self.parked = []
                    answers.append((submission, None))
                case Fail():
                    self._write("never")
                    raise RuntimeError("a mistake")
        return answers

    def finish(self) -> Iterable[Answer]:
        late = [parked for parked in self.parked if parked.operation.until_s <= self.now_s()]
        self.parked = [parked for parked in self.parked if parked not in late]
        return [(parked, TimeoutError("waited long enough")) for parked in late]

    def now_s(self) -> float:
        return 0.0

    def committed(self) -> None:
        self._before = ([], [])

    def rolled_back(self) -> None:
        self.texts, self.parked = self._before

    def wake_at_s(self) -> float | None:
        return min((parked.operation.until_s for parked in self.parked), default=None)

    def is_waited_for(self) -> bool:
        return bool(self.parked)

    def abandon(self) -> Sequence[Submission]:
        parked, self.parked = self.parked, []
        return parked

    def _write(self, text: str) -> int:
        assert self.transaction is not None
        position = self.transaction.next_position()
        self.transaction.cursor.execute(
            "INSERT OR IGNORE INTO prices (id, content, first_used_at) VALUES (?, '', ?)",
            (text, position),
        )
        if text not in self.texts:
            self.texts.append(text)
        return position


def texts_in(path: Path) -> list[str]:
    """What another process would read."""
    connection = sqlite3.connect(path)
    try:
        return [
            text for (text,) in connection.execute("SELECT id FROM prices ORDER BY first_used_at")
        ]
    finally:
        connection.close()


@asynccontextmanager
async def writing(
    folder: Path, clock: ManualClock, handler: Notes | None = None, *, space_min_bytes: int = 0
) -> AsyncIterator[tuple[Writer, Database]]:
    """A writer that runs, over the ledger of *folder*."""
    database = prepare(folder)
    writer = Writer(database, clock, handler=handler, space_min_bytes=space_min_bytes)
    try:
        await writer.start()
        yield writer, database
    finally:
        await writer.close()
        database.close()


def make_workspace(transaction: Transaction) -> None:
    """The workspace that touching the directory needs."""
    transaction.cursor.execute(
        "INSERT INTO workspaces (id, name, zone_changes, created_at)"
        " VALUES ('wsp_default', 'default', '[[0,\"UTC\"]]', 0)"
    )
