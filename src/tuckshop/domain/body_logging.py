"""Which bodies of calls a group keeps, for how long, what for, and who may read them (P1)."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from tuckshop.domain.actor import Actor

# Of no call, of those in which something was flagged, of all.
Bodies = Literal["off", "flagged", "all"]
Reader = Literal["viewer", "assistant", "owner"]
BODIES: Final[tuple[Bodies, ...]] = get_args(Bodies)
DAYS_MAX: Final = 365


class Logging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a group says of bodies. Nothing is kept unless it is said (P1)."""

    bodies: Bodies = "off"
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] = 30
    purpose: str = ""
    readers: tuple[Reader, ...] = ("owner",)

    def may_read(self, actor: Actor) -> bool:
        """Whether staff of this role read what is kept: those who are named, and the operator."""
        return actor.role == "operator" or actor.role in self.readers

    def is_within(self, other: Logging) -> bool:
        """Whether it keeps no more than *other*, for no longer, for nothing else and for nobody else."""
        if self.bodies == "off":
            return True
        return (
            BODIES.index(self.bodies) <= BODIES.index(other.bodies)
            and self.days <= other.days
            and self.purpose == other.purpose
            and set(self.readers) <= set(other.readers)
        )


NO_LOGGING: Final = Logging()
