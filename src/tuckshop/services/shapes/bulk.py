"""Doing one thing to many keys or members: which, what, and what came of it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from tuckshop.services.shapes.keys import ShownKeyState
from tuckshop.services.shapes.parts import Sent, Shown, TextList

KeyAction = Literal["pause", "resume", "revoke", "archive", "reset", "rotate"]
MemberAction = Literal["pause", "resume", "archive", "reset"]
ShownMemberState = Literal["active", "paused", "archived"]


class MemberFilter(Sent, frozen=True, kw_only=True):
    """Members that are all of this; archived ones only where *state* or *members* names them."""

    members: TextList | None = None
    group: str | None = None
    external_id: str | None = None  # a glob
    state: ShownMemberState | None = None
    last_used_before: str | None = None  # those who never called, too


class KeyFilter(Sent, frozen=True, kw_only=True):
    """Keys that are all of this; archived ones only where *state* or *keys* names them."""

    keys: TextList | None = None
    group: str | None = None
    member: str | None = None
    tags: Annotated[list[str], Meta(max_length=20)] | None = None  # all of them
    name: str | None = None  # a glob
    state: ShownKeyState | None = None
    last_used_before: str | None = None  # those that never called, too
    taken_from: str | None = None


class _Bulk(Sent, frozen=True, kw_only=True):
    all: bool = False  # an empty filter means everything
    dry_run: bool = False
    total: bool = False  # of a reset: limits without a window too


class MemberBulk(_Bulk, frozen=True, kw_only=True):
    """What is to be done to the members that a filter finds."""

    action: MemberAction
    filter: MemberFilter = MemberFilter()


class KeyBulk(_Bulk, frozen=True, kw_only=True):
    """What is to be done to the keys that a filter finds."""

    action: KeyAction
    filter: KeyFilter = KeyFilter()
    overlap: str | None = None  # of a rotation: how much longer the secrets before open


class BulkRow(Shown, frozen=True, kw_only=True):
    """What came of one key or member. `key` only where it was rotated just now."""

    id: str
    member: str
    result: Literal["done", "unchanged", "skipped"]
    reason: str | None = None  # why it was skipped
    key: str | UnsetType = UNSET


class BulkReport(Shown, frozen=True, kw_only=True):
    """What was done, or in a dry run would be."""

    action: KeyAction
    dry_run: bool
    matched: int
    done: int
    unchanged: int
    skipped: int
    data: list[BulkRow]
