"""
What an erasure does to the ledger: rows lose who they are about, and keep what they count (P4, P11).

A member's row stays, nameless, as the account that counters, sums and the request log belong to, so that no money moves
and everything adds up as before (M8, M14). In place of the external id stands its *trace*, a keyed digest that means
something only in this group and to this server: who comes back to the group is known by it, and meets what was spent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, or_, select, tuple_, update

from tuckshop.storage.erasures import Erasure
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.schema import (
    appeals,
    claims,
    deliveries,
    entries,
    flags,
    idempotency_keys,
    keys,
    mailed_notices,
    mails,
    members,
    notices,
    requests,
)
from tuckshop.storage.transaction import Transaction

NAMELESS: Final = "(erased)"  # in place of the external id, where one is shown
ERASED: Final = (
    "The member was erased: there is nobody to change. Who comes back is added to the group anew."
)
ROWS_PER_TRANSACTION: Final = 200  # of the request log, so that calls never wait long

# No external id has a control character, so none is ever taken for a trace.
_TRACE: Final = "\x01"
_ENDED: Final = "\x01ended:"
BEFORE_ALL: Final = (-1, "")

# Small tables that hold what names people: rewritten, since a page keeps what was moved out of it.
REWRITTEN: Final[tuple[Table, ...]] = (
    members,
    keys,
    claims,
    mails,
    idempotency_keys,
    flags,
    appeals,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is of a member, or what was taken out."""

    keys: int = 0
    claims: int = 0
    mails: int = 0
    flags: int = 0
    requests: int = 0

    def __add__(self, other: Found) -> Found:
        return Found(
            keys=self.keys + other.keys,
            claims=self.claims + other.claims,
            mails=self.mails + other.mails,
            flags=self.flags + other.flags,
            requests=self.requests + other.requests,
        )


def trace_column(trace: str) -> str:
    """How the trace of an external id stands in `external_id_folded`."""
    return f"{_TRACE}{trace}"


def is_nameless(external_id_folded: str) -> bool:
    """Is it the row of somebody who was erased?"""
    return external_id_folded.startswith(_TRACE)


def has_ended(external_id_folded: str) -> bool:
    """… with the whole group, so that no trace is left?"""
    return external_id_folded.startswith(_ENDED)


def look(connection: Connection, workspace_id: str, member_id: str) -> Found:
    """What an erasure would take out or make nameless."""

    def count(table: Table) -> int:
        query = select(func.count()).where(
            table.c.workspace_id == workspace_id, table.c.member_id == member_id
        )
        return int(connection.execute(query).scalar_one())

    return Found(
        keys=count(keys),
        claims=count(claims),
        mails=count(mails),
        flags=count(flags),
        requests=count(requests),
    )


def strip(
    transaction: Transaction, workspace_id: str, erasure: Erasure, keys_of_persons: PersonKeys
) -> tuple[Found, list[str]]:
    """
    Take out of the ledger who a member is; `scrub_requests` does the rest, in steps.

    Returns:
        What there was, and the ids of what the directory has to read anew.
    """
    connection, member_id = transaction.connection, erasure.member_id
    found = look(connection, workspace_id, member_id)
    connection.execute(
        update(members)
        .where(members.c.workspace_id == workspace_id, members.c.id == member_id)
        .values(
            external_id=NAMELESS,
            external_id_folded=_trace_left(connection, workspace_id, erasure, keys_of_persons),
            name=None,
            email=None,
            state="archived",
            erased_at=max(transaction.now_us, erasure.at_us),
        )
    )
    touched = [member_id]
    for key_id in connection.execute(
        select(keys.c.id).where(keys.c.workspace_id == workspace_id, keys.c.member_id == member_id)
    ).scalars():
        touched.append(key_id)
        connection.execute(
            update(keys)
            .where(keys.c.workspace_id == workspace_id, keys.c.id == key_id)
            .values(
                name=None,
                # Nobody's secret has it: who still holds the key cannot prove whose rows these are.
                digest=secrets.token_bytes(32),
                previous_digest=None,
                previous_until=None,
                taken_digest=None,
                last4="",
                tags="[]",
                self_rotations=None,
                state="archived",
            )
        )
    for table in (claims, mails, appeals):
        connection.execute(
            delete(table).where(
                table.c.workspace_id == workspace_id, table.c.member_id == member_id
            )
        )
    _strip_notices(connection, workspace_id, touched)
    connection.execute(
        delete(idempotency_keys).where(
            idempotency_keys.c.workspace_id == workspace_id,
            idempotency_keys.c.made.contains(member_id, autoescape=True),
        )
    )
    connection.execute(
        update(flags)
        .where(flags.c.workspace_id == workspace_id, flags.c.member_id == member_id)
        .values(content=b"", reason=None, appealed_at=None)
    )
    connection.execute(
        update(entries)
        .where(
            entries.c.workspace_id == workspace_id,
            entries.c.reason.is_not(None),
            or_(*_about(workspace_id, member_id, touched)),
        )
        .values(reason=None)
    )
    return found, touched


def _strip_notices(connection: Connection, workspace_id: str, touched: list[str]) -> None:
    """Nobody is told any more of what a member or a key did."""
    told = select(notices.c.id).where(
        notices.c.workspace_id == workspace_id,
        or_(notices.c.member_id.in_(touched), notices.c.key_id.in_(touched)),
    )
    for table in (deliveries, mailed_notices):
        connection.execute(
            delete(table).where(table.c.workspace_id == workspace_id, table.c.notice_id.in_(told))
        )
    connection.execute(
        delete(notices).where(notices.c.workspace_id == workspace_id, notices.c.id.in_(told))
    )


def _trace_left(
    connection: Connection, workspace_id: str, erasure: Erasure, keys_of_persons: PersonKeys
) -> str:
    """What stands in place of the external id from now on."""
    columns = members.c
    group_id, before = connection.execute(
        select(columns.group_id, columns.external_id_folded).where(
            columns.workspace_id == workspace_id, columns.id == erasure.member_id
        )
    ).one()
    ended = f"{_ENDED}{erasure.member_id}"
    if erasure.has_ended:
        return ended
    if is_nameless(before):
        return str(before)
    left = trace_column(keys_of_persons.trace(group_id, before))
    is_taken = connection.execute(
        select(columns.id).where(
            columns.workspace_id == workspace_id,
            columns.group_id == group_id,
            columns.external_id_folded == left,
        )
    ).first()
    return ended if is_taken else left


def scrub_requests(
    transaction: Transaction,
    workspace_id: str,
    member_id: str,
    after: tuple[int, str] = BEFORE_ALL,
) -> tuple[int, str] | None:
    """
    Take what is personal out of some rows of the member's log: tags, networks, ids at the provider.

    Args:
        after: Where the step before ended.
    Returns:
        Where this one did; None: that was the last.
    """
    columns = requests.c
    rows = transaction.connection.execute(
        select(columns.admitted_at, columns.id)
        .where(
            columns.workspace_id == workspace_id,
            columns.member_id == member_id,
            tuple_(columns.admitted_at, columns.id) > tuple_(*after),
        )
        .order_by(columns.admitted_at, columns.id)
        .limit(ROWS_PER_TRANSACTION)
    ).all()
    if rows:
        transaction.connection.execute(
            update(requests)
            .where(columns.workspace_id == workspace_id, columns.id.in_([id_ for _, id_ in rows]))
            .values(tag=None, network=None, upstream_request_id=None)
        )
    if len(rows) < ROWS_PER_TRANSACTION:
        return None
    return int(rows[-1][0]), str(rows[-1][1])


def ended_members(connection: Connection, workspace_id: str, group_id: str) -> set[str]:
    """The members of a group of whom nothing is left by which they could be known."""
    columns = members.c
    found = connection.execute(
        select(columns.id, columns.external_id_folded).where(
            columns.workspace_id == workspace_id,
            columns.group_id == group_id,
            columns.erased_at.is_not(None),
        )
    )
    return {id_ for id_, name in found if has_ended(name)}


def returned(connection: Connection, workspace_id: str) -> set[str]:
    """The members who were erased once, and came back."""
    columns = members.c
    found = connection.execute(
        select(columns.id, columns.external_id_folded).where(
            columns.workspace_id == workspace_id, columns.erased_at.is_not(None)
        )
    )
    return {id_ for id_, name in found if not is_nameless(name) and not has_ended(name)}


def open_calls(connection: Connection, workspace_id: str, member_ids: list[str]) -> int:
    """How many calls of these members are running."""
    columns = requests.c
    query = select(func.count()).where(
        columns.workspace_id == workspace_id,
        columns.state == "reserved",
        columns.member_id.in_(member_ids),
    )
    return int(connection.execute(query).scalar_one())


def rewrite(transaction: Transaction) -> None:
    """
    Write the small tables anew, so that no page holds what was moved or overwritten in it.

    With `secure_delete` a page that is given back is overwritten whole, but one that is reordered keeps old bytes
    between its rows. The request log is too large for it: that is left to the next start (`storage/wiping.py`).
    """
    connection = transaction.connection
    for table in REWRITTEN:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
        if rows:
            connection.execute(delete(table))
            connection.execute(table.insert(), rows)


def _about(workspace_id: str, member_id: str, touched: list[str]) -> list[ColumnElement[bool]]:
    """Entries that are about the member, their keys or their calls."""
    own_calls = select(requests.c.id).where(
        requests.c.workspace_id == workspace_id,
        requests.c.member_id == member_id,
        requests.c.id == entries.c.request_id,
    )
    return [
        entries.c.scope_kind.in_(("member", "key")) & entries.c.scope_id.in_(touched),
        (entries.c.kind == "correction") & own_calls.exists(),
    ]
