"""
Carry rows: what the log says of requests that are older than their group's `log_days` (P9). Written by `folding`.

A carry row holds requests that every counter treats alike: of one key, model and endpoint, admitted in one stretch of
time that no month and no year divides, and resolved between the same two resets of their scopes. So it is counted as if
it were one request, admitted when the last of them was.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from tuckshop.ledger.arithmetic import Vector
from tuckshop.ledger.contributions import Row

_SELECT: Final = """
SELECT member_id, key_id, since, after_reset, model, model_aliases, endpoint, endpoint_group, group_id, until, last_at,
    position, requests, input_tokens, output_tokens, cached_tokens, images, cost
FROM folded WHERE workspace_id = ?
"""
_COLUMN_OF: Final = {"key": "key_id", "member": "member_id", "group": "group_id"}


Names: TypeAlias = tuple[str, str, str, str, str]  # group, member, key, model, endpoint
BucketKey: TypeAlias = tuple[str, int, str, str, str, str, str]
Sums: TypeAlias = tuple[int, ...]


class CarryRow(NamedTuple):
    """As far as counters and roll-ups go."""

    member_id: str
    key_id: str
    since_us: int
    after_reset: int
    model: str
    model_aliases: str
    endpoint: str
    endpoint_group: str
    group_id: str
    until_us: int
    last_us: int
    position: int
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    images: int
    cost: int

    @property
    def names(self) -> Names:
        """Whose roll-ups it is in."""
        return self.group_id, self.member_id, self.key_id, self.model, self.endpoint

    @property
    def rolled_up(self) -> Sums:
        """What it is in them."""
        return self.requests, self.input_tokens, self.output_tokens, self.cached_tokens, self.cost

    @property
    def used(self) -> Vector:
        """What it adds to counters. Nothing of it is held."""
        inputs, outputs = self.input_tokens, self.output_tokens
        return (self.cost, self.requests, inputs + outputs, inputs, outputs, self.images, 0)

    @property
    def as_row(self) -> Row:
        """The one request that it is counted as: where, when, and after which reset. What it adds is in `used`."""
        resolved = self.after_reset + 1  # before the next reset, as all of them were
        return Row(
            f"folded {self.member_id} {self.key_id} {self.since_us}",
            resolved, resolved, self.last_us, "settled", self.group_id, self.member_id, self.key_id,
            self.model, self.model_aliases, self.endpoint_group, 0, 0, 0, 0, 0, 0, 0,
        )  # fmt: skip


def carry_rows(
    cursor: sqlite3.Cursor,
    workspace_id: str,
    kind: str = "workspace",
    id_: str = "",
    since_us: int = 0,
) -> Iterator[CarryRow]:
    """Those of a scope, of which some request was admitted at *since_us* or later."""
    where, parameters = _where(workspace_id, kind, id_, since_us)
    return map(CarryRow._make, cursor.execute(f"{_SELECT}{where}", parameters).fetchall())


def count_carry_rows(
    cursor: sqlite3.Cursor, workspace_id: str, kind: str, id_: str, since_us: int, most: int
) -> int:
    """How many `carry_rows` there are; more than *most* are not told apart."""
    where, parameters = _where(workspace_id, kind, id_, since_us)
    query = f"SELECT count(*) FROM (SELECT 1 FROM folded WHERE workspace_id = ?{where} LIMIT ?)"  # noqa: S608 - built from constants
    return int(cursor.execute(query, (*parameters, most + 1)).fetchone()[0])


def in_stretches(
    folded: Sequence[CarryRow], *sums: Iterable[tuple[BucketKey, Sums]]
) -> Iterator[dict[BucketKey, Sums]]:
    """Each of *sums*, what lies in a stretch of which something was folded as one, at its start."""
    stretches: defaultdict[Names, list[tuple[int, int]]] = defaultdict(list)
    for row in sorted(folded, key=lambda row: row.since_us):
        known = stretches[row.names]
        if known and row.since_us < known[-1][1]:  # by the day what was by the month before
            known[-1] = (known[-1][0], max(known[-1][1], row.until_us))
        else:
            known.append((row.since_us, row.until_us))
    for some in sums:
        result: dict[BucketKey, Sums] = {}
        for (workspace_id, at_us, *names), more in some:
            whose: Names = (names[0], names[1], names[2], names[3], names[4])
            start_us = at_us
            for since_us, until_us in stretches.get(whose, ()):
                if since_us <= at_us < until_us:
                    start_us = since_us
            key: BucketKey = (workspace_id, start_us, *whose)
            result[key] = added(result[key], more) if key in result else more
        yield result


def added(a: Sums, b: Sums) -> Sums:
    """Each to each."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _where(workspace_id: str, kind: str, id_: str, since_us: int) -> tuple[str, tuple[object, ...]]:
    column = _COLUMN_OF.get(kind)
    if column is None:
        return " AND last_at >= ?", (workspace_id, since_us)
    return f" AND {column} = ? AND last_at >= ?", (workspace_id, id_, since_us)
