"""Grants: extra money for one member, or for many of a group at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final, Literal, TypeVar

from msgspec import UNSET, convert

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import ConflictError, InvalidFieldError
from tuckshop.domain.external_id import folded
from tuckshop.domain.money import usd
from tuckshop.domain.records import Group, Member
from tuckshop.domain.windows import ZoneHistory, end_of_day_us
from tuckshop.ledger.grants import GrantsOfMember
from tuckshop.ledger.ledger import Ledger
from tuckshop.ledger.lifting import ENDLESS, GrantLine
from tuckshop.services import fields
from tuckshop.services.authority import check_more_money
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError, rfc3339
from tuckshop.services.once import Once, once, same
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.personal import Personal
from tuckshop.services.shapes.grants import (
    GrantPage,
    GrantShape,
    GrantsMade,
    LeftOfGrant,
    NewGrant,
    NewGrants,
)
from tuckshop.services.standing import limits_of_member
from tuckshop.storage.person_keys import PersonKeys

S = TypeVar("S")
V = TypeVar("V")

MEMBERS_PER_TRANSACTION: Final = 200  # so that calls never wait long for a large group
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Grants:
    """What staff do with grants."""

    def __init__(
        self, changes: Changes, directory: Directory, ledger: Ledger, person_keys: PersonKeys
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger
        self._person_keys = person_keys

    async def grant(
        self, actor: Actor, member_id: str, new: NewGrant, *, claim: Once | None = None
    ) -> GrantShape:
        """
        Add money to each money limit of a member's own, once.

        Raises:
            NotFoundError: No such member.
            InvalidFieldError: An amount or an end that cannot be taken.
            ConflictError: The member is archived.
        """
        member = self._directory.member(member_id, actor)
        if member.state == "archived":
            raise ConflictError("The member is archived: resume them first.")
        (made,) = await self._grant(actor, self._directory.group_of(member), [member], new, claim)
        found = await self._found(member)
        line = next(one for one in found.grants if one.id == made.id)
        return _shape(line, member.id, found)

    async def grant_to_group(
        self, actor: Actor, group: str, new: NewGrants, *, claim: Once | None = None
    ) -> GrantsMade:
        """
        The same for members of a group, or for all but archived ones.

        Raises:
            NotFoundError: No such group.
            InvalidFieldError: An amount, an end or a member that cannot be taken; then nothing is granted.
        """
        found = self._directory.group(group, actor)
        return GrantsMade(
            data=await self._grant(actor, found, self._chosen(found, new.members), new, claim)
        )

    async def page(
        self, actor: Actor, member_id: str, *, cursor: str | None = None, limit: int = PAGE_DEFAULT
    ) -> GrantPage:
        """
        A member's grants, oldest first, with what is left of them.

        Raises:
            NotFoundError: No such member.
            InvalidFieldError: The cursor.
        """
        member = self._directory.member(member_id, actor)
        after = mark_of(cursor) or ""
        found = await self._found(member)
        lines = [line for line in found.grants if line.id > after]
        return GrantPage(
            data=[_shape(line, member.id, found) for line in lines[:limit]],
            next_cursor=cursor_after(lines[limit - 1].id) if len(lines) > limit else None,
        )

    async def _found(self, member: Member) -> GrantsOfMember:
        await self._ledger.flush()
        group = self._directory.group_of(member)
        limits = limits_of_member(member, group, self._directory.workspace)
        return await self._ledger.grants(
            member.id, [limit for limit in limits if limit.scope.kind == "member"]
        )

    def _chosen(self, group: Group, names: Sequence[str] | None) -> list[Member]:
        everybody = self._directory.known_members(self._directory.member_ids(group.id))
        present = [member for member in everybody if member.state != "archived"]
        if names is None:
            return present
        by_name = {folded(member.external_id): member for member in present}
        by_name |= {member.id: member for member in present}
        chosen: dict[str, Member] = {}
        for place, name in enumerate(names):
            member = by_name.get(name) or by_name.get(folded(name))
            if member is None:
                raise InvalidFieldError(
                    f"members[{place}]", f"{name!r} is no member of the group, or archived"
                )
            chosen[member.id] = member
        return list(chosen.values())

    async def _grant(
        self,
        actor: Actor,
        group: Group,
        members: Sequence[Member],
        new: NewGrant,
        claim: Once | None,
    ) -> list[GrantShape]:
        amount_nano = _read("amount_usd", fields.money, new.amount_usd)
        reason = None if new.reason is None else _read("reason", fields.text, new.reason)
        until_us = None
        if new.until is not None:
            until_us = _read("until", lambda value: _end(value, group.zone), new.until)

        def grant_in(edit: Edit, ids: Sequence[str]) -> list[GrantShape]:
            check_more_money(edit, group.id, what="grant")
            if until_us is not None and until_us <= edit.now_us:
                raise InvalidFieldError(
                    "until",
                    f"{new.until} is past in {group.zone.current}: name a day or time to come,"
                    " or leave it out",
                )
            made = self._ledger.grant_in(
                edit.transaction,
                ids,
                edit.actor,
                amount_nano=amount_nano,
                until_us=until_us,
                reason=reason,
            )
            for member_id, grant_id in zip(ids, made, strict=True):
                edit.audit(
                    "member.grant",
                    member_id,
                    None,
                    {
                        "grant": grant_id,
                        "amount_usd": usd(amount_nano),
                        "until": None if until_us is None else rfc3339(until_us),
                        "reason": Personal(member_id, reason),
                    },
                )
            end_us = ENDLESS if until_us is None else until_us
            return [
                _shape(GrantLine(grant_id, edit.now_us, end_us, amount_nano, reason), member_id)
                for member_id, grant_id in zip(ids, made, strict=True)
            ]

        if reason is not None:  # at once, and not while the ledger waits
            await asyncio.to_thread(self._person_keys.ensure, [one.id for one in members])
        shapes: list[GrantShape] = []
        for start in range(0, len(members), MEMBERS_PER_TRANSACTION):
            ids = [one.id for one in members[start : start + MEMBERS_PER_TRANSACTION]]

            part = None if claim is None else claim.part(start)

            def work(
                edit: Edit, ids: Sequence[str] = ids, part: Once | None = part
            ) -> list[GrantShape]:
                return once(
                    edit,
                    part,
                    lambda: grant_in(edit, ids),
                    told=same,
                    again=lambda kept: convert(kept, list[GrantShape]),
                )

            shapes += await self._changes.make(actor, work)
        return shapes


def _read(field: str, read: Callable[[S], V], value: S) -> V:
    try:
        return read(value)
    except InvalidValueError as error:
        raise InvalidFieldError(field, str(error)) from None


def _end(value: str, zone: ZoneHistory) -> int:
    """Of a day its end where the group is; a time as it is."""
    if _DAY.fullmatch(value):
        try:
            return end_of_day_us(date.fromisoformat(value), zone.current)
        except (ValueError, OverflowError):
            pass  # told below: there is no such day
    return fields.instant_of_text(value)


def _shape(line: GrantLine, member_id: str, found: GrantsOfMember | None = None) -> GrantShape:
    left = None if found is None else found.left.get(line.id)
    state: Literal["active", "used up", "past"] = "active"
    if found is not None and line.until_us <= found.now_us:
        state = "past"
    elif left and not any(amount for _, amount in left):
        state = "used up"
    return GrantShape(
        id=line.id,
        member=member_id,
        amount_usd=usd(line.amount),
        until=None if line.until_us == ENDLESS else rfc3339(line.until_us),
        reason=line.reason,
        granted_at=rfc3339(line.at_us),
        state=state,
        left=UNSET
        if found is None
        else [
            LeftOfGrant(limit=str(limit.limit), left_usd=usd(amount))
            for limit, amount in left or ()
        ],
    )
