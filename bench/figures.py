"""The figures file: what was measured, when, on what; a group of cases is replaced as a whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

FILE: Final = Path(__file__).with_name("figures.json")


class Figure(NamedTuple):
    """What one case gave for one subject."""

    case: str
    subject: str
    value: float


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one table, made in one run."""

    made_at: str
    machine: str
    how: str  # the options that decide how long was measured
    values: dict[str, dict[str, float]]  # case, subject

    def get(self, case: str, subject: str) -> float | None:
        """One of them, if it was measured."""
        return self.values.get(case, {}).get(subject)


def group_of(figures: Iterable[Figure], how: str) -> Group:
    """What was measured just now on this machine."""
    values: dict[str, dict[str, float]] = {}
    for case, subject, value in figures:
        values.setdefault(case, {})[subject] = float(f"{value:.4g}")
    return Group(
        made_at=datetime.now(UTC).isoformat(timespec="minutes"),
        machine=this_machine(),
        how=how,
        values=values,
    )


def load(path: Path = FILE) -> dict[str, Group]:
    """All groups that were ever measured; none where there is no file."""
    if not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Group])


def save(groups: Mapping[str, Group], path: Path = FILE) -> None:
    """Keep them, so that a later run of some groups leaves the others as they are."""
    ordered = msgspec.json.encode(dict(sorted(groups.items())))
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(ordered, indent=1) + b"\n")
    fresh.replace(path)


def this_machine() -> str:
    """What the figures were made on, in a line."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    release = ".".join(platform.release().split(".")[:2])
    model = found[1] if found else "unknown"
    return (
        f"{platform.machine()} ({model}), {os.cpu_count()} cores, Linux {release},"
        f" CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
