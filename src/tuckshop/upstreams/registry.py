"""
The upstreams of a running server: which one serves a model, with which credential, over which connections.

It follows the directory. An upstream whose address is changed or that is removed keeps its connections until the calls
that run on them have ended; the next call goes by what is in force then. A new credential needs no new connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tuckshop.domain.globs import matches
from tuckshop.domain.records import Reach, UpstreamProfile, UpstreamRecord
from tuckshop.storage.sealing import SealError
from tuckshop.upstreams.base_url import BaseUrl, parse_base_url
from tuckshop.upstreams.circuit import Circuit
from tuckshop.upstreams.pool import UpstreamPool

_log: Final = logging.getLogger(__name__)

Connect = Callable[[BaseUrl, Reach], UpstreamPool]
# The credential of an upstream that has one; raises SealError where it cannot be opened.
Unseal = Callable[[UpstreamRecord], str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upstream:
    """An upstream as calls see it. A change makes another one; calls under way keep theirs."""

    name: str
    profile: UpstreamProfile
    models: tuple[str, ...] | None
    pool: UpstreamPool
    credential: str | None = field(repr=False)  # None: it cannot be called
    circuit: Circuit = field(default_factory=Circuit)

    def serves(self, model: str) -> bool:
        """Is *model*, by its exact id, for this upstream?"""
        return self.models is None or any(matches(glob, model) for glob in self.models)


class UpstreamRegistry:
    """All upstreams of one server. Used on the event loop alone."""

    def __init__(self, *, connect: Connect, unseal: Unseal) -> None:
        self._connect = connect
        self._unseal = unseal
        self._upstreams: dict[str, Upstream] = {}  # by name, in the order of looking
        self._records: dict[str, UpstreamRecord] = {}
        self._retired: list[UpstreamPool] = []  # whose last calls run

    # ── look-ups ──────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, name: str) -> Upstream | None:
        """The upstream of this name."""
        return self._upstreams.get(name)

    def named_in(self, asked: str) -> Upstream | None:
        """The upstream that *asked* names before a slash: ``openai/gpt-4o-mini``."""
        name, slash, _ = asked.partition("/")
        return self._upstreams.get(name) if slash else None

    def serving(
        self, model: str, priced: Callable[[str], bool] = lambda name: True
    ) -> Upstream | None:
        """
        The first upstream that serves *model*; one that can be called, where there is one.

        Args:
            priced: Whether the model has a price at the upstream of a name: only those serve it.
        """
        serving = [
            one for one in self._upstreams.values() if one.serves(model) and priced(one.name)
        ]
        usable = (one for one in serving if one.credential is not None)
        return next(usable, serving[0] if serving else None)

    def lists(self, model: str) -> bool:
        """Does any upstream name *model* itself, and not by a glob, among those that it serves?"""
        return any(model in (one.models or ()) for one in self._upstreams.values())

    @property
    def is_usable(self) -> bool:
        """Can any upstream be called?"""
        return any(one.credential is not None for one in self._upstreams.values())

    @property
    def pools(self) -> list[UpstreamPool]:
        """All pools that have connections, those too that serve only their last calls."""
        self._retired = [pool for pool in self._retired if pool.open_connections or pool.dialling]
        return [*(one.pool for one in self._upstreams.values()), *self._retired]

    # ── changes ───────────────────────────────────────────────────────────────────────────────────────────────

    def follow(self, records: Sequence[UpstreamRecord]) -> None:
        """These are all upstreams now, in the order in which a model's name is looked for."""
        before, known = self._upstreams, self._records
        self._records = {record.name: record for record in records}
        self._upstreams = {
            record.name: self._made(record, known.get(record.name), before.get(record.name))
            for record in records
        }
        kept = {one.pool for one in self._upstreams.values()}
        for one in before.values():
            if one.pool not in kept:
                one.pool.retire()
                self._retired.append(one.pool)

    async def close(self) -> None:
        """Close every connection; exchanges under way fail."""
        for pool in self.pools:
            await pool.close()

    def _made(
        self, record: UpstreamRecord, known: UpstreamRecord | None, before: Upstream | None
    ) -> Upstream:
        if before is not None and known == record:
            return before
        is_same_place = known is not None and (
            (known.id, known.base_url, known.reach) == (record.id, record.base_url, record.reach)
        )
        return Upstream(
            name=record.name,
            profile=record.profile,
            models=record.models,
            pool=(
                before.pool
                if before is not None and is_same_place
                else self._connect(parse_base_url(record.base_url), record.reach)
            ),
            credential=self._credential_of(record),
        )

    def _credential_of(self, record: UpstreamRecord) -> str | None:
        if record.credential_source is None:
            return None
        try:
            return self._unseal(record)
        except SealError as error:
            _log.error(
                "the credential of the upstream %s does not open (%s): give it again with"
                " `tuckshop upstream edit %s`",
                record.name,
                error,
                record.name,
            )
            return None
