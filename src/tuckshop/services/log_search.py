"""
Finding rows of the request log fast, however long it is and however rare what is asked for.

Every filter has a *lead*: the index whose entries are all that it may match, newest first, the shortest one there is.
The log is read along it in slices, each the same work whatever matches in it. When a page is full, or its time is
over, it ends and says how far it got: so a page may come with few rows, or none, and still have another one behind it,
but it comes at once. A file goes on from there by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import isqrt
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Text,
    bindparam,
    desc,
    or_,
    select,
    union,
)
from sqlalchemy.sql.visitors import replacement_traverse

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.services.paging import cursor_after, mark_of
from tuckshop.storage.database import CLOCK_ACCEPTED
from tuckshop.storage.schema import flagged_calls, requests, settings

PAGE_S: Final = 0.12  # after which no further slice is begun
SLICE_ROWS: Final = 5_000
Term = ColumnElement[bool]


class Mark(NamedTuple):
    """A place in the log: rows older than it come after it."""

    position: int
    at_us: int | None = None  # where the lead goes by time

    @property
    def cursor(self) -> str:
        """The cursor of the page that begins here."""
        return cursor_after(
            f"{self.position}" if self.at_us is None else f"{self.at_us}.{self.position}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """An index of the log, and the terms that its entries fulfil."""

    index: str
    terms: tuple[Term, ...]
    goes_by_time: bool = False  # by time, then by position; else by position alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for in a workspace's log."""

    workspace_id: str
    group_id: str | None = None
    member_id: str | None = None  # where a key is asked for: whose it is
    key_id: str | None = None
    status: str | None = None
    tag: str | None = None
    is_flagged: bool | None = None
    sees_conduct: bool = False  # do flags of what members said count as well?
    since_us: int | None = None
    until_us: int | None = None
    others: tuple[Term, ...] = ()  # of columns that no index leads by

    @property
    def lead(self) -> Lead:
        """The index to go along: of those that fit, the one with the fewest entries as a rule."""
        columns = requests.c
        if self.status == "reserved":
            return Lead(index="requests_open", terms=(columns.state == said("reserved"),))
        if self.tag is not None:
            return Lead(index="requests_by_tag", terms=(columns.tag == self.tag,))
        if self.is_flagged:
            return Lead(index="requests_flagged", terms=(columns.flags != said(""),))
        if self.member_id is not None:
            return Lead(
                index="requests_by_member",
                terms=(columns.member_id == self.member_id,),
                goes_by_time=True,
            )
        if self.status in ("voided", "refused", "blocked"):
            return Lead(
                index="requests_uncharged",
                terms=(
                    columns.state != said("settled"),
                    columns.state != said("reserved"),
                    columns.state == self.status,
                ),
            )
        if self.group_id is not None:
            return Lead(
                index="requests_by_group",
                terms=(columns.group_id == self.group_id,),
                goes_by_time=True,
            )
        return Lead(index="position", terms=())

    @property
    def terms(self) -> tuple[Term, ...]:
        """All that a row has to fulfil besides what the lead says."""
        columns = requests.c
        lead = self.lead.index
        terms: list[Term] = [*self.others, *self.times]
        # Of group and member not the columns themselves: their indexes would bring the rows in another order.
        if self.group_id is not None and lead != "requests_by_group":
            terms.append(columns.group_id.concat("") == self.group_id)
        if self.member_id is not None and lead != "requests_by_member":
            terms.append(columns.member_id.concat("") == self.member_id)
        if self.key_id is not None:
            terms.append(columns.key_id == self.key_id)
        if self.status is not None:
            terms.append(columns.state == self.status)
        if self.tag is not None:
            terms.append(columns.tag == self.tag)
        if self.is_flagged is not None:
            terms.append(self._has_flag if self.is_flagged else ~self._has_flag)
        return tuple(terms)

    @property
    def _has_flag(self) -> Term:
        columns = requests.c
        if not self.sees_conduct:
            return columns.flags != ""
        found = select(flagged_calls.c.flag_id).where(
            flagged_calls.c.workspace_id == columns.workspace_id,
            flagged_calls.c.request_id == columns.id,
        )
        return or_(columns.flags != "", found.exists())

    @property
    def times(self) -> tuple[Term, ...]:
        """What *since* and *until* say."""
        terms: list[Term] = []
        if self.since_us is not None:
            terms.append(requests.c.admitted_at >= self.since_us)
        if self.until_us is not None:
            terms.append(requests.c.admitted_at < self.until_us)
        return tuple(terms)


class Found(NamedTuple):
    """A page."""

    rows: list[dict[str, Any]]
    mark: Mark | None  # where the next page begins; None: there is none


def mark_in(search: Search, cursor: str | None) -> Mark | None:
    """
    Where the page asked for begins; None: at the newest row.

    Raises:
        InvalidFieldError: Not a cursor that we gave for such a filter.
    """
    told = mark_of(cursor)
    if told is None:
        return None
    parts = told.split(".")
    goes_by_time = search.lead.goes_by_time
    if len(parts) != 1 + goes_by_time or not all(p.isdecimal() and len(p) <= 18 for p in parts):
        raise InvalidFieldError("cursor", "is not a cursor of this list")
    return Mark(int(parts[-1]), int(parts[0]) if goes_by_time else None)


def along(connection: Connection, search: Search) -> tuple[Term, ...]:
    """The part of its lead that *search* goes along: the terms that bound it."""
    bounds = _bounds(connection, search)
    return (*_lead_terms(search, bounds), *bounds)


def find(
    connection: Connection, search: Search, mark: Mark | None, limit: int, clock: Clock
) -> Found:
    """At most *limit* rows after *mark*, newest first. For worker threads."""
    deadline_s = clock.monotonic_s() + PAGE_S
    rows: list[dict[str, Any]] = []
    for terms, after in _slices(connection, search, mark):
        query = (
            select(requests)
            .where(
                requests.c.workspace_id == search.workspace_id,
                *_lead_terms(search, terms),
                *search.terms,
                *terms,
            )
            .order_by(*_order(search.lead))
            .limit(limit + 1 - len(rows))
        )
        rows += [dict(row) for row in connection.execute(query).mappings()]
        if len(rows) > limit:
            return Found(rows[:limit], _mark_of_row(search.lead, rows[limit - 1]))
        if after is not None and (len(rows) == limit or clock.monotonic_s() >= deadline_s):
            return Found(rows, after)
    return Found(rows, None)


def _slices(
    connection: Connection, search: Search, mark: Mark | None
) -> Iterator[tuple[tuple[Term, ...], Mark | None]]:
    """The parts of the log to look at, one after the other: what its rows fulfil, and where the next one begins."""
    lead = search.lead
    key = requests.c.admitted_at if lead.goes_by_time else requests.c.position
    whole = _bounds(connection, search)
    while True:
        entries = _entries(search, (*whole, *_roughly(mark)))
        last = connection.execute(
            entries.order_by(desc(key.name)).limit(1).offset(SLICE_ROWS)
        ).scalar()
        terms = whole if mark is None else (*whole, *_roughly(mark), _is_after(mark))
        if last is None:
            yield terms, None
            return
        # By time, all rows of an instant are in one slice.
        mark = Mark(0, last) if lead.goes_by_time else Mark(last)
        yield (*terms, key >= last), mark


def _entries(search: Search, within: tuple[Term, ...]) -> Select[Any] | CompoundSelect[Any]:
    """The keys of the lead's entries that *within*, which is about those keys alone, leaves."""
    lead = search.lead
    key = requests.c.admitted_at if lead.goes_by_time else requests.c.position
    chosen = select(key).where(requests.c.workspace_id == search.workspace_id, *lead.terms, *within)
    if not _leads_by_conduct(search):
        return chosen
    # Two indexes, each in its order; the database merges them as it goes.
    also = select(flagged_calls.c.position).where(
        flagged_calls.c.workspace_id == search.workspace_id,
        flagged_calls.c.position.is_not(None),
        *map(_of_flagged_calls, within),
    )
    return union(chosen, also)


def _lead_terms(search: Search, within: tuple[Term, ...]) -> tuple[Term, ...]:
    """What the rows of the lead's entries have in common."""
    if not _leads_by_conduct(search):
        return search.lead.terms
    return (requests.c.position.in_(_entries(search, within)),)


def _leads_by_conduct(search: Search) -> bool:
    return search.sees_conduct and search.lead.index == "requests_flagged"


def _of_flagged_calls(term: Term) -> Term:
    """A term about positions in the log, and nothing else, of the calls that a flag was noted in."""

    def moved(element: object, **_: Any) -> ColumnElement[Any] | None:
        return flagged_calls.c.position if isinstance(element, Column) else None

    return replacement_traverse(term, {}, moved)


def _is_after(mark: Mark) -> Term:
    position, at = requests.c.position, requests.c.admitted_at
    if mark.at_us is None:
        return position < mark.position
    return or_(at < mark.at_us, position < mark.position)


def _roughly(mark: Mark | None) -> tuple[Term, ...]:
    """The same, as far as the lead's key tells: for its index, which may hold nothing else."""
    if mark is None:
        return ()
    if mark.at_us is None:
        return (requests.c.position < mark.position,)
    return (requests.c.admitted_at <= mark.at_us,)


def _mark_of_row(lead: Lead, row: dict[str, Any]) -> Mark:
    return Mark(row["position"], row["admitted_at"] if lead.goes_by_time else None)


def _order(lead: Lead) -> tuple[ColumnElement[Any], ...]:
    by_position = requests.c.position.desc()
    return (requests.c.admitted_at.desc(), by_position) if lead.goes_by_time else (by_position,)


def _bounds(connection: Connection, search: Search) -> tuple[Term, ...]:
    """What *since* and *until* say of the lead's key, so that nothing outside of them is walked over."""
    columns = requests.c
    if search.lead.goes_by_time:
        return search.times
    if search.since_us is None and search.until_us is None:
        return ()
    name = f"{CLOCK_ACCEPTED}{search.workspace_id}"
    if connection.execute(select(settings.c.name).where(settings.c.name == name)).first():
        return ()  # the clock was set back once: later positions may have earlier times
    bounds: list[Term] = []
    if search.since_us is not None:
        bounds.append(columns.position >= _first_from(connection, search, search.since_us))
    if search.until_us is not None:
        bounds.append(columns.position < _first_from(connection, search, search.until_us))
    return tuple(bounds)


def _first_from(connection: Connection, search: Search, at_us: int) -> int:
    """The position from which on rows were admitted at *at_us* or later. Positions and times grow together."""
    columns = requests.c
    query = select(columns.position, columns.admitted_at).where(
        columns.workspace_id == search.workspace_id
    )
    oldest = connection.execute(query.order_by(columns.position).limit(1)).first()
    newest = connection.execute(query.order_by(columns.position.desc()).limit(1)).first()
    if oldest is None or newest is None:
        return 1
    low, low_us = oldest
    high, high_us = newest[0] + 1, newest[1]
    for turn in count():
        if low >= high:
            break
        middle = _probe(turn % 3, low, high, (at_us - low_us) / max(1, high_us - low_us))
        position, admitted_at = connection.execute(
            query.where(columns.position >= middle).order_by(columns.position).limit(1)
        ).one()
        if admitted_at >= at_us:
            high, high_us = middle, admitted_at
        else:
            low, low_us = position + 1, admitted_at
    return int(low)


def _probe(turn: int, low: int, high: int, share: float) -> int:
    """
    Where to look between *low* and *high*: just below and just above where even calls would have it, then halfway.

    Each look may cost a read from the disk. Halving alone takes two dozen of them in a long log; so it takes a few,
    and never more than thrice as many as by halving.
    """
    if turn == 2:
        return (low + high) // 2
    guess = low + int((high - low) * min(max(share, 0.0), 1.0))
    margin = isqrt(high - low)
    return min(max(guess + (margin if turn else -margin), low), high - 1)


def said(constant: str) -> ColumnElement[str]:
    """A constant of ours in the words of the statement: SQLite takes a partial index only for those that define it."""
    return bindparam(None, constant, Text(), literal_execute=True)
