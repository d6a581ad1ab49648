"""
Checks of what calls ask, and of what is answered: what a policy says of them, and what a verdict comes to.

A workspace and a group may each ask for checks. Both hold: a content is blocked where one of them that blocks flags it,
and noted where one that only logs does. What a check does when it cannot be had is the strictest of those that block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

Mode = Literal["off", "log", "block"]
Fail = Literal["closed", "open"]
Unreadable = Literal["refuse", "pass"]
Action = Literal["blocked", "noted"]

# OpenAI's moderation guide and specification (CreateModerationResponse), read on 2026-11-23.
CATEGORIES: Final = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip

Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Moderation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one level of policies says of checks. Fields that are left out are not shown either."""

    mode: Mode = "off"  # of what is asked
    fail: Fail = "closed"  # when the check cannot be had
    thresholds: dict[str, Score] = msgspec.field(default_factory=dict)  # per category
    unreadable: Unreadable | UnsetType = UNSET  # what cannot be checked; "refuse" unless said
    upstream: str | UnsetType = UNSET  # whose moderation; that of the call unless said
    outputs: Mode | UnsetType = UNSET  # of what is answered; "off" unless said

    @property
    def checks_outputs(self) -> Mode:
        """What is done with what is answered."""
        return self.outputs or "off"

    @property
    def checks_anything(self) -> bool:
        """Is there anything to check at all?"""
        return self.mode != "off" or self.checks_outputs != "off"


NO_MODERATION: Final = Moderation()


class Judged(NamedTuple):
    """What the service says of one content."""

    flagged: frozenset[str]  # categories, by its own word
    scores: Mapping[str, float]  # of every category that it knows

    def reasons(self, thresholds: Mapping[str, float]) -> tuple[str, ...]:
        """The categories that flag it: by their threshold where they have one, else by the service's own word."""
        found = {name for name in self.flagged if name not in thresholds}
        found.update(
            name for name, least in thresholds.items() if self.scores.get(name, 0.0) >= least
        )
        return tuple(sorted(found))


class Finding(NamedTuple):
    """What became of one content."""

    action: Action
    reasons: tuple[str, ...]  # categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What holds for a call: every level that says anything, the widest first."""

    levels: tuple[Moderation, ...]

    @property
    def asked(self) -> Mode:
        """What is done with what is asked, at the strictest."""
        return _strictest(level.mode for level in self.levels)

    @property
    def answered(self) -> Mode:
        """What is done with what is answered, at the strictest."""
        return _strictest(level.checks_outputs for level in self.levels)

    @property
    def fails_open(self) -> bool:
        """May a call pass when its check cannot be had? Only if all say so that block anything."""
        return all(level.fail == "open" for level in self._blocking)

    @property
    def passes_unreadable(self) -> bool:
        """May pass what cannot be checked? Only if all say so that block anything."""
        return all(level.unreadable == "pass" for level in self._blocking)

    @property
    def upstream(self) -> str | None:
        """Whose moderation is asked; None: that of the upstream that serves the call. The widest level has the word."""
        return next((level.upstream for level in self.levels if level.upstream), None)

    def of_asked(self, judged: Judged) -> Finding | None:
        """What becomes of a content that somebody asks."""
        return _finding(judged, [(level.mode, level.thresholds) for level in self.levels])

    def of_answered(self, judged: Judged) -> Finding | None:
        """What becomes of a content that a model answers."""
        return _finding(judged, [(one.checks_outputs, one.thresholds) for one in self.levels])

    @property
    def _blocking(self) -> list[Moderation]:
        return [one for one in self.levels if "block" in (one.mode, one.checks_outputs)]


def checks_of(*levels: Moderation | None) -> Checks | None:
    """What *levels* (of the workspace, of the group) come to together; None: nothing is checked."""
    saying = tuple(level for level in levels if level is not None and level.checks_anything)
    return Checks(levels=saying) if saying else None


def _strictest(modes: Iterable[Mode]) -> Mode:
    found = set(modes)
    return "block" if "block" in found else "log" if "log" in found else "off"


def _finding(judged: Judged, levels: Sequence[tuple[Mode, Mapping[str, float]]]) -> Finding | None:
    noted: set[str] = set()
    blocked: set[str] = set()
    for mode, thresholds in levels:
        if mode != "off":
            (blocked if mode == "block" else noted).update(judged.reasons(thresholds))
    if blocked:
        return Finding("blocked", tuple(sorted(blocked)))
    return Finding("noted", tuple(sorted(noted))) if noted else None
