"""A key holder gives their key a new secret, where the group's policy lets them (K21)."""

from __future__ import annotations

from typing import Final

import msgspec

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.errors import InvalidApiKeyError, NotPermittedError, TooOftenError
from tuckshop.domain.records import Holder
from tuckshop.domain.windows import span_at
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.key_life import key_row, rotate
from tuckshop.services.shapes.me import OwnNewKey

ROTATIONS_PER_DAY: Final = 3  # of one key; a day of its group's zone


class SelfRotation:
    """Gives keys a new secret at their holders' wish."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def rotate(self, actor: Actor, holder: Holder, presented: bytes) -> OwnNewKey:
        """
        A new secret for the key that asks; the one before stops to open at once. All else carries over (M14).

        Args:
            presented: The digest of the secret that the call came with.
        Raises:
            NotPermittedError: The policy does not allow it; or the secret is that before the last rotation.
            TooOftenError: It was done as often today as it may be.
            InvalidApiKeyError: Another rotation came first.
        """
        if not holder.group.self_rotate:
            raise NotPermittedError(
                "Your group does not let holders rotate their keys: ask the people who gave you this one."
            )
        if presented != holder.key.digest:
            # Whoever has the old secret must not be able to take the key away from who has the new one.
            raise NotPermittedError(
                "This is the secret before the last rotation, which opens a while longer but rotates"
                " nothing: use the newer one."
            )

        def work(edit: Edit) -> str:
            before = key_row(edit, holder.key.id)
            if before["digest"] != presented or before["state"] != "active":
                raise InvalidApiKeyError("this key was changed in the same moment")
            today = span_at("day", edit.now_us, holder.group.zone)
            done = [at for at in _times(before["self_rotations"]) if at >= today.start_us]
            if len(done) >= ROTATIONS_PER_DAY:
                assert today.end_us is not None
                raise TooOftenError(
                    f"This key was rotated {ROTATIONS_PER_DAY} times today, which is as often as may be."
                    " If it has leaked again, ask the people who gave it to you to pause it.",
                    (today.end_us - edit.now_us) / US_PER_SECOND,
                )
            times = msgspec.json.encode([*done, edit.now_us]).decode()
            return rotate(edit, before, besides={"self_rotations": times})

        secret = await self._changes.make(actor, work)
        return OwnNewKey(id=holder.key.id, key=secret, last4=secret[-4:])


def _times(column: str | None) -> list[int]:
    return [] if column is None else msgspec.json.decode(column, type=list[int])
