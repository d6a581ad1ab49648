"""docs/reference/metrics.md names every metric, label and alarm that there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from tuckshop.domain.watch import Alarm, Ended
from tuckshop.metrics import GAUGES, Metrics

PAGE = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text(encoding="utf-8")


def told() -> dict[str, tuple[str, frozenset[str]]]:
    """Name → (type, labels) of everything that a server with some use tells."""
    metrics = Metrics()
    metrics.read_gauges(dict.fromkeys(GAUGES, lambda: 0))
    metrics.ended([Ended("chat", "gpt-4o-mini", 200, 1, 0, 1, 1, True, False)])
    metrics.committed(1, 0.1)
    page = metrics.page().decode()
    found = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE):
        labels = re.findall(rf"^{name}(?:\{{(.*?)\}})? ", page, re.MULTILINE)
        found[name] = (kind, frozenset(re.findall(r'(\w+)="', " ".join(labels))))
    return found


def test_every_metric_has_its_row_with_type_and_labels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*)\|", PAGE, re.MULTILINE)

    assert {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    } == told()


def test_every_alarm_has_its_row() -> None:
    section = PAGE.partition("## Alarms")[2]

    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(get_args(Alarm))
