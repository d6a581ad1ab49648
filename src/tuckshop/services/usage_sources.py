"""
Which tables a usage report reads for a stretch of time: the fewest rows that hold what is asked for.

Before the mark of the day sums (`tuckshop.ledger.day_sums`), a report that knows neither members nor keys reads
quarters of whole groups, and any other one reads the spans of 16 UTC days that lie in its stretch whole, then the days.
The rest, the two ends and today, is read from the quarters of the keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, FromClause, select

from tuckshop.ledger.day_sums import DAY_US, MARK, QUARTER_US, SPAN_US
from tuckshop.storage.schema import (
    settings,
    usage_buckets,
    usage_days,
    usage_quarters,
    usage_spans,
)

Where = Mapping[str, str | Sequence[str]]  # column → what it is, or one of what
_COARSE: Final = frozenset({"workspace_id", "group_id", "model", "endpoint"})


class Piece(NamedTuple):
    """A table with a column `bucket`, the time that a row of it holds, and from when to when it is read."""

    source: FromClause
    step_us: int
    start_us: int
    end_us: int

    def terms(self, where: Where) -> list[Any]:
        """What the rows fulfil that are to be read."""
        columns = self.source.c
        return [
            *(
                columns[name] == value if isinstance(value, str) else columns[name].in_(value)
                for name, value in where.items()
            ),
            columns.bucket >= self.start_us,
            columns.bucket < self.end_us,
        ]


@dataclass(frozen=True, slots=True)
class Sources:
    """A table that holds everything by quarters, and those that hold it in fewer rows up to a mark, fewest first."""

    whole: FromClause
    summed: tuple[tuple[FromClause, int], ...] = ()  # and how long a time a row of it holds
    mark_us: int = 0

    def pieces(self, start_us: int, end_us: int) -> list[Piece]:
        """What to read for this time, oldest first: each call is in one of them."""
        return self._cut(self.summed, start_us, end_us)

    def _cut(
        self, summed: tuple[tuple[FromClause, int], ...], start_us: int, end_us: int
    ) -> list[Piece]:
        if start_us >= end_us:
            return []
        if not summed:
            return [Piece(self.whole, QUARTER_US, start_us, end_us)]
        (source, step_us), finer = summed[0], summed[1:]
        first_us = start_us + -start_us % step_us
        last_us = min(end_us, self.mark_us)
        last_us -= last_us % step_us
        if first_us >= last_us:
            return self._cut(finer, start_us, end_us)
        return [
            *self._cut(finer, start_us, first_us),
            Piece(source, step_us, first_us, last_us),
            *self._cut(finer, last_us, end_us),
        ]

    def span(
        self, connection: Connection, where: Where, since_us: int | None, until_us: int
    ) -> tuple[int, int]:
        """In which part of that time there is something: between the first row and the end of the last one."""
        # Rows of before 1970 there are none.
        pieces = self.pieces(max(since_us or 0, 0), until_us)
        for piece in pieces:
            bucket = piece.source.c.bucket
            # One end at a time, since then each is read off an end of the index.
            query = select(bucket).where(*piece.terms(where)).limit(1)
            first_us = connection.execute(query.order_by(bucket)).scalar()
            if first_us is not None:
                break
        else:
            return until_us, until_us
        for piece in reversed(pieces):
            bucket = piece.source.c.bucket
            query = select(bucket).where(*piece.terms(where)).limit(1)
            last_us = connection.execute(query.order_by(bucket.desc())).scalar()
            if last_us is not None:
                end_us = last_us - last_us % QUARTER_US + piece.step_us
                return first_us - first_us % QUARTER_US, min(end_us, until_us)
        raise AssertionError("what has a first row has a last one")


def roll_up(connection: Connection, workspace_id: str, columns: Collection[str]) -> Sources:
    """The roll-up as it stands now, for a report that knows *columns* and no others."""
    name = f"{MARK}{workspace_id}"
    told = connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar()
    # While it is read the mark may move on, which changes nothing before this one.
    mark_us = int(told or 0)
    if _COARSE.issuperset(columns):
        return Sources(usage_buckets, ((usage_quarters, QUARTER_US),), mark_us)
    return Sources(usage_buckets, ((usage_spans, SPAN_US), (usage_days, DAY_US)), mark_us)
