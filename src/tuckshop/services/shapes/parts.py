"""What the bodies of the admin API are made of."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

Usd = Annotated[Decimal, Meta(extra_json_schema={"type": "number"}, description="US dollars")]
OutputCap = Annotated[int, Meta(ge=1, le=100_000_000)]
TextList = Annotated[list[str], Meta(max_length=500)]
LimitList = Annotated[list[str], Meta(max_length=50, description="Limits as people write them")]
Instant = Annotated[datetime, Meta(tz=True)]


class Sent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that we read."""


class Shown(Struct, frozen=True, kw_only=True):
    """A body that we write."""


class Versioned(Shown, frozen=True, kw_only=True):
    """Something that staff edit: its answers carry an ETag, and a change may be bound to one."""

    moves_by_itself: ClassVar[frozenset[str]] = frozenset({"in_force"})  # no part of its version
