"""What the made-up provider remembers while it runs, and what tests may ask of it."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Final

from tuckshop.mock_upstream.connection import Connection
from tuckshop.mock_upstream.delivery import Delivery

_PREFIXES_MAX: Final = 4096
_CALLS_MAX: Final = 65_536
CACHED_FROM_TOKENS: Final = (
    1024  # a shorter prompt is never cached; OpenAI's guide "Prompt caching"
)
_PREFIX_CHARACTERS: Final = 4 * CACHED_FROM_TOKENS


@dataclass(slots=True)
class Running:
    """A reply that is not complete yet, and the names it answers to."""

    delivery: Delivery
    names: frozenset[str]


@dataclass(slots=True)
class State:
    """All of it."""

    connections: set[Connection] = field(default_factory=set)
    connections_made: int = 0
    requests: Counter[str] = field(default_factory=Counter)  # by method and path
    statuses: Counter[int] = field(default_factory=Counter)  # of replies that were not cut
    running: dict[str, Running] = field(default_factory=dict)  # by upstream id
    redirected: int = 0
    queued_faults: deque[str] = field(default_factory=deque)
    faults_met: OrderedDict[str, int] = field(default_factory=OrderedDict)  # by client's id
    prefixes: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def describe(self) -> dict[str, Any]:
        """For GET /_mock/state."""
        return {
            "connections": len(self.connections),
            "connections_made": self.connections_made,
            "requests": sum(self.requests.values()),
            "requests_by_path": dict(self.requests),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "open": len(self.running),
            "held": sum(running.delivery.held for running in self.running.values()),
            "running": [sorted(running.names) for running in self.running.values()],
            "queued_faults": list(self.queued_faults),
            "redirected": self.redirected,
        }

    def called(self, name: str | None) -> list[Delivery]:
        """The replies under way that answer to *name*; None: all."""
        return [
            running.delivery
            for running in self.running.values()
            if name is None or name in running.names
        ]

    def meets_fault(self, client_id: str, times: int) -> bool:
        """Whether a fault meant for the first *times* requests of *client_id* meets this one."""
        met = self.faults_met.get(client_id, 0)
        self.faults_met[client_id] = met + 1
        if len(self.faults_met) > _CALLS_MAX:
            self.faults_met.popitem(last=False)
        return met < times

    def cached_tokens(self, text: str, input_tokens: int) -> int:
        """How many tokens of this prompt were seen at the beginning of an earlier one."""
        if input_tokens < CACHED_FROM_TOKENS or len(text) < _PREFIX_CHARACTERS:
            return 0
        prefix = hash(text[:_PREFIX_CHARACTERS])
        seen = prefix in self.prefixes
        self.prefixes[prefix] = None
        self.prefixes.move_to_end(prefix)
        if len(self.prefixes) > _PREFIXES_MAX:
            self.prefixes.popitem(last=False)
        return CACHED_FROM_TOKENS if seen else 0
