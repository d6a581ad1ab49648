"""Whose key is this? For one that turned up where it should not be: a repository, a forum, a screenshot."""

from __future__ import annotations

from typing import Final

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.domain.keys import digest_of, masked, secrets_in, spelling_of
from tuckshop.domain.money import usd
from tuckshop.domain.records import Holder
from tuckshop.services.directory import Directory
from tuckshop.services.fields import rfc3339
from tuckshop.services.key_life import shown_state
from tuckshop.services.keys import Keys
from tuckshop.services.shapes.finding import Finding, FoundKeys, Owner
from tuckshop.services.usage import Usage

FOUND_MAX: Final = 200
SPENT_DAYS: Final = 30


class KeyFinding:
    """Tells keys by their secrets."""

    def __init__(self, directory: Directory, keys: Keys, usage: Usage, clock: Clock) -> None:
        self._directory = directory
        self._keys = keys
        self._usage = usage
        self._clock = clock

    async def find(self, actor: Actor, text: str) -> FoundKeys:
        """
        What stands in *text* that looks like a key, each with whose it is. No secret is told back.

        Raises:
            InvalidFieldError: Nothing in it looks like one, or more than are looked up at once.
        """
        secrets = secrets_in(text, FOUND_MAX + 1)
        if not secrets:
            raise InvalidFieldError("text", "holds nothing that looks like a key (sk-…)")
        if len(secrets) > FOUND_MAX:
            raise InvalidFieldError(
                "text", f"holds more than {FOUND_MAX} of what looks like a key: send it in parts"
            )
        return FoundKeys(data=[await self._finding(actor, secret) for secret in secrets])

    async def _finding(self, actor: Actor, secret: str) -> Finding:
        spelling, digest = spelling_of(secret), digest_of(secret)
        holder = None if spelling == "mistyped" else self._directory.holder_of(digest)
        if holder is None or not actor.sees(holder.group.id):
            verdict = "unknown" if spelling == "ours" else spelling
            return Finding(seen=masked(secret), verdict=verdict, opens=False)
        now_us = self._clock.now_us()
        is_current = digest == holder.key.digest
        until_us = None if is_current else holder.key.previous_until_us
        return Finding(
            seen=masked(secret),
            verdict="current" if is_current else "previous",
            opens=self._opens(digest, now_us),
            opens_until=None if until_us is None else rfc3339(until_us),
            owner=await self._owner(holder, now_us),
            key=await self._keys.get(actor, holder.key.id),
        )

    def _opens(self, digest: bytes, now_us: int) -> bool:
        holder = self._directory.find(digest, now_us)
        return (
            holder is not None
            and shown_state(holder.key, now_us)
            == holder.member.state
            == holder.group.state
            == "active"
        )

    async def _owner(self, holder: Holder, now_us: int) -> Owner:
        rows = await self._usage.rows(
            [],
            {"member_id": holder.member.id, "key_id": holder.key.id},
            since_us=now_us - SPENT_DAYS * 86_400 * US_PER_SECOND,
            until_us=None,
            zone=holder.group.zone,
        )
        return Owner(
            group=holder.group.name,
            member=holder.member.id,
            external_id=holder.member.external_id,
            name=holder.member.name,
            email=holder.member.email,
            state=holder.member.state,
            spent_usd=rows[0].cost_usd if rows else usd(0),
        )
