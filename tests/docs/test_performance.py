"""The figures of the docs are those of the benchmark's file, and the targets those of its cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import figures, plot, tables
from bench.cases import LOG_QUERIES, RIVALS, TABLES, Target

GROUPS = figures.load()
KNOWN = {**TABLES, RIVALS.name: RIVALS}


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_the_tables_come_from_the_figures(page: Path) -> None:
    """`python -m bench --plot` makes them anew."""
    text = page.read_text(encoding="utf-8")

    assert tables.filled(text, GROUPS) == text


def test_the_plot_comes_from_the_figures() -> None:
    assert plot.FILE.read_text(encoding="utf-8") == plot.plotted(GROUPS)


def test_every_table_stands_in_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in tables.PAGES)

    missing = {name for name in tables.blocks() if f"<!-- figures: {name} -->" not in text}

    assert not missing


def test_the_figures_are_of_cases_that_exist() -> None:
    for name, group in GROUPS.items():
        table = KNOWN[name]
        assert set(group.values) <= {case.id for case in table.cases}, name
        for values in group.values.values():
            assert set(values) <= set(table.subjects), name


def test_the_targets_are_those_of_the_design() -> None:
    """A target that is not held is told as missed; it is not moved."""
    held = {case.id: case.target for table in TABLES.values() for case in table.cases}

    assert {case: target for case, target in held.items() if target is not None} == {
        "chat-32": Target(6, is_ratio=True),
        "event-200": Target(1.5, is_ratio=True),
        "event-1000": Target(1.5, is_ratio=True),
        "cold-start": Target(1.5),
        "rss-idle": Target(80),
        "rss-crowd": Target(120),
        "admission-8": Target(30),
        "staff-busy": Target(20),
        "bodies-all-times": Target(1.3),
        **{asked.id: Target(300) for asked in LOG_QUERIES},
    }
    page = tables.PAGES[0].read_text(encoding="utf-8")
    for name, group in GROUPS.items():
        for case in KNOWN[name].cases:
            assert tables.verdict(case, group) in page
