"""Groups: make, read, change, pause, resume, reset, archive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET
from sqlalchemy import insert, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.authority import Authority, beyond_in_shared_reset
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.moderation import NO_MODERATION
from tuckshop.domain.money import format_usd
from tuckshop.domain.records import Group, State
from tuckshop.domain.reservation import Scope
from tuckshop.domain.windows import ZoneHistory
from tuckshop.ledger.ledger import Ledger
from tuckshop.services import checking, fields
from tuckshop.services.authority import check_group, check_more_money, refuse
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import Columns
from tuckshop.services.once import Once, once, same
from tuckshop.services.open_grants import OpenGrants, open_grants
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.rules import rules
from tuckshop.services.shapes.groups import (
    LOG_DAYS,
    GroupChange,
    GroupPage,
    GroupReset,
    GroupShape,
    NewGroup,
)
from tuckshop.services.shapes.standing import LimitStanding
from tuckshop.services.shapes.worst_case import WorstCaseShape
from tuckshop.services.standing import limits_of_group, standings_of
from tuckshop.services.versions import Expected
from tuckshop.services.worst_case import worst_case_of
from tuckshop.storage.database import Database
from tuckshop.storage.rows import group_of, text_of_part, text_of_zone, zone_of_text
from tuckshop.storage.schema import groups

SCOPES_PER_TRANSACTION: Final = 200  # so that calls never wait long for the reset of a large group

Listed = Literal["active", "paused", "archived", "all"]

UNMASK: Final = (
    "pseudonyms: staff are shown again who people are only for a reason: "
    "tuckshop group unmask, or workspace unmask."
)

# Fields of the policy that nothing obeys yet, and the one value that each may have.
NOT_YET: Final[Mapping[str, object]] = {
    "tools": [],
    "provider_storage": "off",
    "objects": "own",
}


class Groups:
    """What staff do with groups."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        ledger: Ledger,
        default_zone: str,
        clock: Clock,
        authority: Authority,
        database: Database,
    ) -> None:
        self._changes = changes
        self._directory = directory
        self._ledger = ledger
        self._default_zone = default_zone
        self._clock = clock
        self._authority = authority
        self._database = database

    async def create(self, actor: Actor, new: NewGroup, *, claim: Once | None = None) -> GroupShape:
        """
        Make a group.

        Raises:
            InvalidFieldsError: Fields that cannot be taken.
            ConflictError: The name is taken.
        """
        columns = self.columns_of(new, self._default_zone)
        checking.check_offered(new.moderation, new.models or None, self._directory.upstreams())
        zone = str(columns.pop("time_zone", self._default_zone))

        def make(edit: Edit) -> str:
            _check_name(edit, new.name, own_id=None)
            group_id = edit.new_id("grp")
            row: dict[str, object] = {
                "workspace_id": edit.workspace_id,
                "id": group_id,
                "min_output_tokens": 1024,
                "patience_s": 20,
                "on_disconnect": "drain",
                "unknown_parameters": "refuse",
                "show_shared": False,
                "self_rotate": False,
                "log_days": LOG_DAYS,
                "pseudonyms": False,
                "state": "active",
                **columns,
                "carry_since": None if columns.get("carry_over") is None else edit.now_us,
                "zone_changes": text_of_zone(ZoneHistory.of(zone)),
                "created_at": edit.now_us,
            }
            edit.connection.execute(insert(groups).values(row))
            edit.audit("group.create", group_id, None, _audited(row))
            edit.touch(group_id)
            return group_id

        def work(edit: Edit) -> str:
            return once(edit, claim, lambda: make(edit), told=same, again=str)

        return await self.get(actor, await self._changes.make(actor, work))

    async def get(self, actor: Actor, name_or_id: str) -> GroupShape:
        """
        A group, with the shared limits in force.

        Raises:
            NotFoundError: No such group.
        """
        await self._ledger.flush()
        return (await self._shapes(actor, [self._directory.group(name_or_id, actor)]))[0]

    async def page(
        self,
        actor: Actor,
        *,
        state: Listed | None = None,
        cursor: str | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> GroupPage:
        """
        Groups, oldest first; archived ones only where *state* asks for them.

        Raises:
            InvalidFieldError: The cursor.
        """
        after = mark_of(cursor) or ""
        chosen = [
            group
            for group in self._directory.groups(actor)
            if group.id > after
            and (state in ("all", group.state) or (state is None and group.state != "archived"))
        ][: limit + 1]
        await self._ledger.flush()
        return GroupPage(
            data=await self._shapes(actor, chosen[:limit]),
            next_cursor=cursor_after(chosen[limit - 1].id) if len(chosen) > limit else None,
        )

    async def change(
        self,
        actor: Actor,
        name_or_id: str,
        change: GroupChange,
        *,
        expected: Expected | None = None,
    ) -> GroupShape:
        """
        Change any part of a group's policy.

        Raises:
            NotFoundError: No such group.
            InvalidFieldsError: Fields that cannot be taken; then nothing is changed.
            ConflictError: The new name is taken, or it would end pseudonyms, for which there has to be a reason.
            StaleVersionError: It is another version than *expected*.
            NotPermittedError: It would give more than the actor holds.
        """
        group = self._directory.group(name_or_id, actor)
        group_id = group.id
        columns = self.columns_of(change, self._default_zone)
        models = group.models if change.models is UNSET else change.models
        checking.check_offered(change.moderation, models, self._directory.upstreams())
        zone = columns.pop("time_zone", None)

        def work(edit: Edit) -> None:
            before = _row(edit, group_id)
            self._check_version(edit, before, expected)
            after = dict(columns)
            if before["pseudonyms"] and not after.get("pseudonyms", True):
                raise ConflictError(UNMASK)
            if zone is not None:
                history = zone_of_text(before["zone_changes"])
                if history.current != zone:
                    after["zone_changes"] = text_of_zone(history.changed(edit.now_us, str(zone)))
            if "carry_over" in after and (after["carry_over"] is None) != (
                before["carry_over"] is None
            ):
                after["carry_since"] = None if after["carry_over"] is None else edit.now_us
            self._write(edit, "group.change", before, after)

        await self._changes.make(actor, work)
        return await self.get(actor, group_id)

    async def set_state(
        self,
        actor: Actor,
        name_or_id: str,
        state: State,
        *,
        expected: Expected | None = None,
    ) -> GroupShape:
        """
        Pause, resume or archive. An archived group that is resumed is active again.

        Raises:
            NotFoundError: No such group.
            StaleVersionError: It is another version than *expected*.
        """
        group_id = self._directory.group(name_or_id, actor).id
        action = {"active": "resume", "paused": "pause", "archived": "archive"}[state]

        def work(edit: Edit) -> None:
            before = _row(edit, group_id)
            self._check_version(edit, before, expected)
            if state == "paused" and before["state"] == "archived":
                raise ConflictError("The group is archived: resume it first.")
            self._write(edit, f"group.{action}", before, {"state": state})

        await self._changes.make(actor, work)
        return await self.get(actor, group_id)

    async def reset(
        self, actor: Actor, name_or_id: str, reset: GroupReset, *, with_total: bool
    ) -> GroupShape:
        """
        Start the running windows afresh: of each member, of what they share, or of all of it.

        Raises:
            NotFoundError: No such group.
            NotPermittedError: It would give more than the actor holds.
        """
        group_id = self._directory.group(name_or_id, actor).id
        if reset.what != "each":
            refuse(beyond_in_shared_reset(actor))
        scopes: list[Scope] = []
        if reset.what != "shared":
            scopes += [Scope("member", id_) for id_ in self._directory.member_ids(group_id)]
        if reset.what != "each":
            scopes.append(Scope("group", group_id))
        for start in range(0, max(1, len(scopes)), SCOPES_PER_TRANSACTION):
            some = scopes[start : start + SCOPES_PER_TRANSACTION]

            def work(edit: Edit, some: Sequence[Scope] = some, is_first: bool = not start) -> None:
                check_more_money(edit, group_id, what="reset")
                self._ledger.reset_in(edit.transaction, some, edit.actor, with_total=with_total)
                if is_first:
                    after = {"what": reset.what, "with_total": with_total}
                    edit.audit("group.reset", group_id, None, after)

            await self._changes.make(actor, work)
        return await self.get(actor, group_id)

    @staticmethod
    def columns_of(
        change: GroupChange, default_zone: str, *, compiles: bool = True
    ) -> dict[str, object]:
        """
        The columns that *change* sets, each field read and in its normal form.

        Args:
            compiles: Whether patterns are to be seen to be some, for which RE2 has to be here.
        Raises:
            InvalidFieldsError: Fields that cannot be taken, all of them.
        """
        columns = Columns()
        columns.set("name", change.name, fields.group_name)
        columns.set("title", change.title, fields.text, unset="")
        columns.set("time_zone", change.time_zone, fields.zone_name, unset=default_zone)
        columns.set("models", change.models, fields.models)
        columns.set("endpoints", change.endpoints, fields.endpoints)
        columns.set("each", change.each, fields.limits, unset="[]", column="each_limits")
        columns.set("shared", change.shared, fields.limits, unset="[]", column="shared_limits")
        columns.set("max_output_tokens", change.max_output_tokens, fields.same)
        columns.set("min_output_tokens", change.min_output_tokens, fields.same, unset=1024)
        columns.set("patience_s", change.patience_s, fields.same, unset=20)
        columns.set("on_disconnect", change.on_disconnect, fields.same, unset="drain")
        columns.set("unknown_parameters", change.unknown_parameters, fields.same, unset="refuse")
        columns.set("carry_over", change.carry_over, fields.dollars)
        columns.set("show_shared", change.show_shared, fields.same, unset=False)
        columns.set("self_rotate", change.self_rotate, fields.same, unset=False)
        columns.set("strikes", change.strikes, text_of_part)
        columns.set("logging", change.logging, fields.logging)
        columns.set("log_days", change.log_days, fields.same, unset=LOG_DAYS)
        columns.set("rules", change.rules, partial(rules, compiles=compiles))
        columns.set("moderation", change.moderation, checking.column_of)
        columns.set("pseudonyms", change.pseudonyms, fields.same, unset=False)
        columns.set("state", change.state, fields.same)
        for name, default in NOT_YET.items():
            sent = getattr(change, name)
            if sent is not UNSET and sent is not None and sent != default:
                allowed = msgspec.json.encode(default).decode()
                columns.refuse(name, f"is not available yet: leave it out, or send {allowed}")
        return columns.check()

    def _write(
        self, edit: Edit, action: str, before: Mapping[str, Any], after: Mapping[str, object]
    ) -> None:
        check_group(self._authority, edit.actor, before, after)
        if "name" in after:  # asked only now: whether a name is free tells of other groups (K5)
            _check_name(edit, str(after["name"]), own_id=before["id"])
        changed = edit.alter(groups, action, before, after, audited=_audited)
        if "state" in changed and before["state"] == "archived":
            # If its members were erased, its words are closed for good: from now on with a fresh key.
            edit.person_keys.renew(str(before["id"]))
        if "each_limits" in changed or "shared_limits" in changed:
            self._ledger.forget_kinds(edit.transaction)

    async def _shapes(self, actor: Actor, chosen: list[Group]) -> list[GroupShape]:
        workspace = self._directory.workspace
        standings = await standings_of(
            self._ledger, [limits_of_group(group, workspace) for group in chosen], actor
        )
        people = self._directory.members_by_group({group.id for group in chosen})
        now_us = self._clock.now_us()
        grants = await asyncio.to_thread(self._open_grants, now_us)
        return [
            _shape(
                group, in_force, worst_case_of(group, people[group.id], workspace, now_us, grants)
            )
            for group, in_force in zip(chosen, standings, strict=True)
        ]

    def _open_grants(self, now_us: int) -> OpenGrants:
        with self._database.reader() as connection:
            return open_grants(connection, self._directory.workspace.id, now_us)

    def _check_version(self, edit: Edit, row: Mapping[str, Any], expected: Expected | None) -> None:
        if expected is not None:
            group = group_of(row)
            # What nobody edits is no part of a version, so it need not be true here.
            nobody = worst_case_of(group, [], self._directory.workspace, edit.now_us)
            expected.check(edit, _shape(group, [], nobody), group.id)


def _shape(group: Group, in_force: list[LimitStanding], worst_case: WorstCaseShape) -> GroupShape:
    return GroupShape(
        id=group.id,
        name=group.name,
        title=group.title,
        time_zone=group.zone.current,
        models=_listed(group.models),
        endpoints=_listed(group.endpoints),
        each=[str(limit) for limit in group.each],
        shared=[str(limit) for limit in group.shared],
        carry_over=None if group.carry_over is None else format_usd(group.carry_over.most),
        max_output_tokens=group.max_output_tokens,
        min_output_tokens=group.min_output_tokens,
        patience_s=int(group.patience_s),
        on_disconnect=group.on_disconnect,
        unknown_parameters=group.unknown_parameters,
        show_shared=group.show_shared,
        self_rotate=group.self_rotate,
        strikes=group.strikes,
        logging=group.logging,
        moderation=group.moderation or NO_MODERATION,
        log_days=group.log_days,
        rules=group.rules,
        pseudonyms=group.pseudonyms,
        state=group.state,
        in_force=in_force,
        worst_case=worst_case,
    )


def _listed(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _row(edit: Edit, group_id: str) -> Mapping[str, Any]:
    query = select(groups).where(
        groups.c.workspace_id == edit.workspace_id, groups.c.id == group_id
    )
    return dict(edit.connection.execute(query).mappings().one())


def _check_name(edit: Edit, name: str, *, own_id: str | None) -> None:
    query = select(groups.c.id, groups.c.state).where(
        groups.c.workspace_id == edit.workspace_id, groups.c.name == name
    )
    row = edit.connection.execute(query).one_or_none()
    if row is not None and row.id != own_id:
        which = "another group: choose another"
        if row.state == "archived":
            which = "an archived group: choose another, or resume that one"
        raise ConflictError(f"The name {name!r} is taken by {which}.")


def _audited(columns: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value for name, value in columns.items() if name not in ("workspace_id", "created_at")
    }
