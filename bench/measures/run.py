"""What all measures of one run share: for how long, where, and what is ended when they are done."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from bench.subjects import Subject, Upstream, start_nginx, start_tuckshop, start_upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The options of a run."""

    rounds: int = 3  # of the cases that are repeated, the median counts
    seconds: int = 4  # of each round
    keys: int = 100
    shrink: int = 1  # make crowds and logs so many times smaller: for trying the benchmark itself

    def __str__(self) -> str:
        return f"{self.rounds} round{'s' * (self.rounds > 1)} of {self.seconds} s"

    def sized(self, number: int) -> int:
        """*number* of keys, rows or members, made smaller where that was asked for."""
        return max(1, number // self.shrink)


class Started(Protocol):
    """Something that is to be ended."""

    def stop(self) -> None:
        """End it."""


class Stage:
    """A folder and an upstream, and the subjects before it."""

    def __init__(self, folder: Path, upstream: Upstream, stack: ExitStack) -> None:
        self.folder = folder
        self.upstream = upstream
        self._stack = stack

    def nginx(self) -> Subject:
        """nginx."""
        return self.keep(start_nginx(self.upstream, self.folder / "nginx"))

    def tuckshop(
        self,
        name: str,
        *,
        keys: int,
        policy: Mapping[str, object] = MappingProxyType({}),
        **settings: str,
    ) -> Subject:
        """Tuckshop with a class that has *policy* besides its limits, its folder called *name*."""
        folder = self.folder / name
        return self.keep(
            start_tuckshop(self.upstream, folder, keys=keys, policy=policy, **settings)
        )

    def keep(self, subject: Subject) -> Subject:
        """Have it ended with the stage."""
        self._stack.callback(subject.stop)
        return subject


@contextmanager
def stage() -> Iterator[Stage]:
    """All that is started on it ends with it, the upstream last."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = start_upstream()
        stack.callback(upstream.stop)
        yield Stage(Path(name), upstream, stack)


def medians(
    subjects: Sequence[Subject], rounds: int, measure: Callable[[Subject], float]
) -> list[float]:
    """*measure* of each subject: in turn, so that a busy minute hits all of them; the median of the rounds."""
    values: list[list[float]] = [[] for _ in subjects]
    for _ in range(rounds):
        for subject, found in zip(subjects, values, strict=True):
            found.append(measure(subject))
    return [statistics.median(found) for found in values]
